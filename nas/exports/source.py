"""`model.py`: this one network as readable PyTorch, with a program that classifies image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports import Subject
from nas.exports.outside import compared, normalised, run_outside
from search_space.source import source


@final
class Source:
    """The text that `search_space.source` writes."""

    file = "model.py"
    needs = ("weights",)

    def unavailable(self) -> str | None:
        """It can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the file."""
        (folder / self.file).write_text(source(subject.graph), encoding="utf-8")

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Logits from the pixels, and of a few images from a PNG file of each."""
        return compared(run_outside(self.file, outputs, folder, subject.pixels), subject.logits)


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Logits (N, classes); those of the first images are found through files, as a person would."""
    import importlib.util  # noqa: PLC0415 - this function's text runs elsewhere

    import PIL.Image  # noqa: PLC0415 - as above
    import torch  # noqa: PLC0415 - as above

    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    network = model.load()
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalised(folder, pixels)))
        for row, image in enumerate(pixels[:8]):
            file = Path(f"image{row}.png")
            PIL.Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file)
            logits[row] = network(model.read_image(file))[0]
    return logits.numpy(), {"torch": torch.__version__, "pillow": PIL.__version__}


FORMAT = Source()
