"""Format `model.xml` with `model.bin`: the network with its preprocessing for OpenVINO, on Intel's processors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports.isolation import compare_logits, in_batches, run_isolated
from nas.exports.libraries import ONNX, lacking, optional

if TYPE_CHECKING:
    import openvino  # the check runs in another process, which imports it

    from nas.exports.subject import Subject


@final
class OpenVinoFormat:
    """OpenVINO format, converted from `model.onnx`, with its inputs and outputs; weights of 32 bits."""

    file = "model.xml"
    companions = ("model.bin",)
    needs = ("onnx",)

    def unavailable(self) -> str | None:
        """Return which libraries to write and check it are missing, with the command that installs them."""
        return lacking(self.file, [*ONNX, "openvino"], "'inception-nas[export,openvino]'")

    def write(self, subject: Subject, folder: Path) -> None:  # noqa: ARG002 - the protocol's
        """Convert `model.onnx`."""
        library = optional("openvino")
        # Not convert_model, which reports its use to a server unless told otherwise.
        model = library.Core().read_model(folder / "model.onnx")
        library.save_model(model, folder / self.file, compress_to_fp16=False)

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the logits for batches of 1, 7, 64 and all other images."""
        return compare_logits(run_isolated(self.file, outputs, folder, subject.pixels, imports=["openvino"]), subject)


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, float]]:
    """Return logits (N, classes) of pixels (N, C, H, W)."""
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # bfloat16 is the default where the processor has it
    network = openvino.compile_model(folder / "model.xml", "CPU", exact)
    logits, speed = in_batches(lambda part: network([part])[0], pixels)
    return logits, {"openvino": openvino.__version__}, speed


FORMAT = OpenVinoFormat()
