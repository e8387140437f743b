"""Format `model.tflite`: the network with its preprocessing for LiteRT (TensorFlow Lite), on phones and boards."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports.isolation import compare_logits, in_batches, run_isolated
from nas.exports.libraries import lacking, optional

if TYPE_CHECKING:
    import ai_edge_litert.interpreter  # the check runs in another process, which imports it

    from nas.exports.subject import Subject

LIBRARIES = ("litert_torch", "ai_edge_litert")


@final
class LiteRtFormat:
    """LiteRT format: one input (1, C, H, W) uint8 and one output (1, classes); an image at a time."""

    file = "model.tflite"
    needs = ()

    def unavailable(self) -> str | None:
        """Return which libraries to write and check it are missing, with the command that installs them."""
        return lacking(self.file, LIBRARIES, "litert-torch")

    def write(self, subject: Subject, folder: Path) -> None:
        """Convert the module by `litert_torch`."""
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of the libraries that it is made of
            module = subject.deployed
            converted = optional("litert_torch").convert(module, (module.example[:1],))
            converted.export(str(folder / self.file))

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the logits, an image at a time."""
        ran = run_isolated(self.file, outputs, folder, subject.pixels, imports=["ai_edge_litert.interpreter"])
        return compare_logits(ran, subject)


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, float]]:
    """Return logits (N, classes) of pixels (N, C, H, W)."""
    network = ai_edge_litert.interpreter.Interpreter(str(folder / "model.tflite"))
    network.allocate_tensors()
    given, found = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def predict(part: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = []
        for image in part:
            network.set_tensor(given, image[None])
            network.invoke()
            logits.append(network.get_tensor(found).copy())
        return np.concatenate(logits)

    logits, speed = in_batches(predict, pixels)
    return logits, {"ai_edge_litert": ai_edge_litert.__version__}, speed


FORMAT = LiteRtFormat()
