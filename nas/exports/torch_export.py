"""Format `model.pt2`: the network with its preprocessing as a `torch.export` program, with a variable batch size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports.isolation import compare_logits, in_batches, run_isolated

if TYPE_CHECKING:
    import torch  # the check runs in another process, which imports it

    from nas.exports.subject import Subject


@final
class TorchExportFormat:
    """torch.export format: `torch.export.load(FILE).module()` takes pixels (batch, C, H, W) uint8 and returns logits.

    The archive holds tensors as plain bytes and the program as JSON; nothing in it is unpickled.
    """

    file = "model.pt2"
    needs = ()

    def unavailable(self) -> str | None:
        """Return None: it can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Export the module by `torch.export`."""
        subject.deployed.save_program(folder / self.file, subject.described)

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the logits for batches of 1, 7, 64 and all other images."""
        return compare_logits(run_isolated(self.file, outputs, folder, subject.pixels, imports=["torch"]), subject)


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, float]]:
    """Return logits (N, classes) of pixels (N, C, H, W)."""
    network = torch.export.load(folder / "model.pt2").module()
    with torch.inference_mode():
        logits, speed = in_batches(lambda part: network(torch.from_numpy(part)), pixels)
    return logits, {"torch": torch.__version__}, speed


FORMAT = TorchExportFormat()
