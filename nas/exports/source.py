"""Format `model.py`: the network as readable PyTorch, with a program that classifies image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports.isolation import compare_logits, in_batches, load_program, normalise, run_isolated
from search_space.source import source

if TYPE_CHECKING:  # the check runs in another process, which imports these
    import PIL.Image
    import torch

    from nas.exports.subject import Subject

IMPORTS = ("PIL.Image", "torch")


@final
class SourceFormat:
    """Source format: the text that `search_space.source` writes."""

    file = "model.py"
    needs = ("safetensors",)

    def unavailable(self) -> str | None:
        """Return None: it can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the source text."""
        (folder / self.file).write_text(source(subject.graph), encoding="utf-8")

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the logits: of the first 8 images read from PNG files, of the rest from pixels."""
        return compare_logits(run_isolated(self.file, outputs, folder, subject.pixels, imports=IMPORTS), subject)


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, float]]:
    """Return logits (N, classes); those of the first 8 images by way of PNG files, as the program does."""
    model = load_program(folder)
    network = model.load()
    with torch.inference_mode():
        logits, speed = in_batches(lambda images: network(torch.from_numpy(images)), normalise(folder, pixels))
        for row, image in enumerate(pixels[:8]):
            file = Path(f"image{row}.png")
            PIL.Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file)
            logits[row] = network(model.read_image(file))[0].numpy()
    return logits, {"torch": torch.__version__, "pillow": PIL.__version__}, speed


FORMAT = SourceFormat()
