"""`model.onnx`: the network for any ONNX runtime, with any number of images at a time."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports import Subject
from nas.exports.outside import compared, normalised, run_outside

LIBRARIES = ("onnx", "onnxscript", "onnxruntime")


@final
class Onnx:
    """Input `images` (batch, C, H, W), normalised; output `logits` (batch, classes)."""

    file = "model.onnx"
    needs = ()

    def unavailable(self) -> str | None:
        """Three libraries are needed, to write it and to check it."""
        missing = [name for name in LIBRARIES if find_spec(name) is None]
        if not missing:
            return None
        return f"{self.file} needs {', '.join(missing)}: pip install 'inception-nas[export]'"

    def write(self, subject: Subject, folder: Path) -> None:
        """Trace the module with torch's exporter."""
        import torch  # noqa: PLC0415 - the name of this file must not stand before torch's own `onnx`

        # It warns of torchvision's operators, which no network of ours has.
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        example = torch.zeros(2, *subject.graph.input)
        with warnings.catch_warnings():
            # torch 2.13 asks its own tree specs for their kind in a way that it calls outdated.
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
        """Logits of one image alone and of all others together."""
        return compared(run_outside(self.file, outputs, folder, subject.pixels), subject.logits)


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Logits (N, classes): of the first image by itself, of the rest in one batch."""
    import onnxruntime  # noqa: PLC0415 - this function's text runs elsewhere

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    images = normalised(folder, pixels)
    logits = [session.run(["logits"], {"images": part})[0] for part in (images[:1], images[1:]) if len(part)]
    return np.concatenate(logits), {"onnxruntime": onnxruntime.__version__}


FORMAT = Onnx()
