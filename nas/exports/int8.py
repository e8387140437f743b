"""Format `model.int8.onnx`: the ONNX network with weights and activations of 8 bits, calibrated on training images.

Static quantisation with one scale a channel for weights and one a tensor for activations (Jacob et al. 2018,
arXiv:1712.05877), by ONNX Runtime. Weights keep to 7 of their 8 bits: processors with AVX2 or AVX-512 but without VNNI
add two products in 16 bits, which two of 8 bits exceed, so that the same file would give other classes there. All 8
are taken only where 7 are too few for the classes of the network, and 8 keep more of them on this processor.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from nas.exports.compact import LINEAR, compact
from nas.exports.isolation import compare_logits, in_batches, run_isolated
from nas.exports.libraries import ONNX, lacking, optional

if TYPE_CHECKING:
    import onnxruntime  # the check runs in another process, which imports it

    from nas.exports.subject import Subject

QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool", "Relu")
"""Operators that run in 8 bits. The arithmetic of the preprocessing stays in float32."""
BATCH = 32


@final
class Int8Format:
    """ONNX format of 8 bits, with the inputs and outputs of `model.onnx`; its logits are approximate."""

    file = "model.int8.onnx"
    needs = ("onnx",)
    min_agreement = 0.98
    """Share of the checked images whose class must be the network's."""

    def unavailable(self) -> str | None:
        """Return which libraries to write and check it are missing, with the command that installs them."""
        return lacking(self.file, ONNX, "'inception-nas[export]'")

    def write(self, subject: Subject, folder: Path) -> None:
        """Quantise `model.onnx`, with the ranges of activations on the subject's calibration images."""
        self._quantise(subject, folder, weight_bits=7)

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the classes for batches of 1, 7, 64 and all other images; rewrite the file where 8 bits are needed.

        Returns:
            The facts of `Format.check`, and `weight_bits`, 7 or 8.
        """
        narrow = self._compare(subject, folder, weight_bits=7)
        if narrow["argmax_agreement"] >= self.min_agreement:
            return narrow
        content = (folder / self.file).read_bytes()
        self._quantise(subject, folder, weight_bits=8)
        whole = self._compare(subject, folder, weight_bits=8)
        if whole["argmax_agreement"] > narrow["argmax_agreement"]:
            return whole
        (folder / self.file).write_bytes(content)
        return narrow

    def _quantise(self, subject: Subject, folder: Path, weight_bits: int) -> None:
        batches = CalibrationBatches(subject.calibration)
        quantise(folder / "model.onnx", folder / self.file, batches, weight_bits=weight_bits)
        compact(folder / self.file)

    def _compare(self, subject: Subject, folder: Path, weight_bits: int) -> dict[str, Any]:
        ran = run_isolated(self.file, outputs, folder, subject.pixels, imports=["onnxruntime"])
        return {**compare_logits(ran, subject), "min_agreement": self.min_agreement, "weight_bits": weight_bits}


class CalibrationBatches:
    """Batches of images, one after another, as ONNX Runtime's quantiser reads them."""

    def __init__(self, images: NDArray[Any], name: str = "pixels", size: int = BATCH) -> None:
        """Read images (N, C, H, W) from the start, `size` at once, for an input of that name."""
        self._batches: Iterator[NDArray[Any]] = (images[at : at + size] for at in range(0, len(images), size))
        self._name = name

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next batch under the input's name, None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def quantise(source: Path, target: Path, batches: CalibrationBatches, *, weight_bits: int) -> None:
    """Write an ONNX network with weights and activations of 8 bits.

    Args:
        source: ONNX file in float32.
        target: file to write; a file of its name with a dot before it is used meanwhile.
        batches: images on which the ranges of activations are found.
        weight_bits: bits of a weight that are used, 7 or 8.
    """
    quantization = optional("onnxruntime.quantization")
    prepared = target.with_name(f".{target.name}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own deprecated calls
            optional("onnxruntime.quantization.shape_inference").quant_pre_process(
                source, prepared, skip_symbolic_shape=True
            )
            quantization.quantize_static(
                prepared,
                target,
                batches,
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                reduce_range=weight_bits == 7,
                weight_type=quantization.QuantType.QInt8,
                activation_type=quantization.QuantType.QUInt8,
                # logits of 256 levels would tie for images between two classes
                extra_options={"OpTypesToExcludeOutputQuantization": list(LINEAR)},
            )
    finally:
        prepared.unlink(missing_ok=True)


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, float]]:
    """Return logits (N, classes) of pixels (N, C, H, W)."""
    session = onnxruntime.InferenceSession(folder / "model.int8.onnx", providers=["CPUExecutionProvider"])
    logits, speed = in_batches(lambda part: session.run(["logits"], {"pixels": part})[0], pixels)
    return logits, {"onnxruntime": onnxruntime.__version__}, speed


FORMAT = Int8Format()
