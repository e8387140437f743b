"""Format `model.onnx`: the network for any ONNX runtime, with a variable batch size."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports.isolation import compare_logits, normalise, run_isolated

if TYPE_CHECKING:
    import onnxruntime  # the check runs in another process, which imports it

    from nas.exports.subject import Subject

LIBRARIES = ("onnx", "onnxscript", "onnxruntime")


@final
class OnnxFormat:
    """ONNX format: input `images` (batch, C, H, W), normalised; output `logits` (batch, classes)."""

    file = "model.onnx"
    needs = ()

    def unavailable(self) -> str | None:
        """Return which libraries to write and check it are missing, with the command that installs them."""
        missing = [name for name in LIBRARIES if find_spec(name) is None]
        if not missing:
            return None
        return f"{self.file} needs {', '.join(missing)}: pip install 'inception-nas[export]'"

    def write(self, subject: Subject, folder: Path) -> None:
        """Export the module by `torch.onnx`."""
        import torch  # noqa: PLC0415 - the formats are listed without it

        # The exporter warns of torchvision's operators, which no network of ours has.
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        example = torch.zeros(2, *subject.graph.input)
        with warnings.catch_warnings():
            # torch 2.13 triggers this deprecation warning of its own.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            program = torch.onnx.export(
                subject.network,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        assert program is not None
        program.save(folder / self.file, external_data=False)

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the logits of one image alone and of the others in one batch."""
        return compare_logits(
            run_isolated(self.file, outputs, folder, subject.pixels, imports=["onnxruntime"]), subject.logits
        )


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Return logits (N, classes): of the first image by itself, of the rest in one batch."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    images = normalise(folder, pixels)
    logits = [session.run(["logits"], {"images": part})[0] for part in (images[:1], images[1:]) if len(part)]
    return np.concatenate(logits), {"onnxruntime": onnxruntime.__version__}


FORMAT = OnnxFormat()
