"""Format `model.onnx`: the network with its preprocessing, for any ONNX runtime, with a variable batch size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports.isolation import compare_logits, in_batches, run_isolated
from nas.exports.libraries import ONNX, lacking

if TYPE_CHECKING:
    import onnxruntime  # the check runs in another process, which imports it

    from nas.exports.subject import Subject


@final
class OnnxFormat:
    """ONNX format: input `pixels` (batch, C, H, W) uint8; output `logits` (batch, classes); metadata as JSON texts."""

    file = "model.onnx"
    needs = ()

    def unavailable(self) -> str | None:
        """Return which libraries to write and check it are missing, with the command that installs them."""
        return lacking(self.file, ONNX, "'inception-nas[export]'")

    def write(self, subject: Subject, folder: Path) -> None:
        """Export the module by `torch.onnx`."""
        subject.deployed.save_onnx(folder / self.file, subject.described)

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the logits for batches of 1, 7, 64 and all other images."""
        return compare_logits(
            run_isolated(self.file, outputs, folder, subject.pixels, imports=["onnxruntime"]), subject
        )


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, float]]:
    """Return logits (N, classes) of pixels (N, C, H, W)."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    logits, speed = in_batches(lambda part: session.run(["logits"], {"pixels": part})[0], pixels)
    return logits, {"onnxruntime": onnxruntime.__version__}, speed


FORMAT = OnnxFormat()
