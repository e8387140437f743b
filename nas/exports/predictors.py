"""Predictors: exported files of every format behind one function, from pixels to logits."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nas.data import make_image_set
from nas.exports.deployed import Deployed
from nas.exports.format import PREPROCESSING, ExportError
from nas.exports.libraries import lacking, optional
from nas.exports.sparse.csr import KEY as SPARSE
from nas.exports.sparse.csr import from_csr
from search_space.documents import graph_of
from search_space.network import build

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
WEIGHTS = "weights.safetensors"
BATCH = 256
ONNX_ERRORS = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented")


@dataclass(frozen=True, eq=False)
class Predictor:
    """Exported network that is ready to classify.

    Attributes:
        file: the file that it was read from.
        classes: names of its classes, in the order of its logits.
        shape: (C, H, W) of its images.
        predict: logits (N, classes) float32 for pixels (N, C, H, W) uint8, N at least 1.
    """

    file: Path
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    predict: Predict

    def probabilities(self, images: Tensor) -> NDArray[np.float32]:
        """Return the probability of each class (N, classes).

        Args:
            images: (N, C, H, W), uint8, or floating point in [0, 1].

        Raises:
            ValueError: images of another shape than those that the network was trained on, or of another range.
        """
        if tuple(images.shape[1:]) != self.shape:
            found = tuple(images.shape[1:])
            raise ValueError(f"images must have the shape {self.shape} of those of the search, got {found}")
        if not len(images):
            return np.zeros((0, len(self.classes)), dtype=np.float32)
        pixels = make_image_set(images, torch.zeros(len(images)), self.classes).images.numpy()
        logits = [self.predict(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
        probabilities: NDArray[np.float32] = torch.from_numpy(np.concatenate(logits)).softmax(1).numpy()
        return probabilities


def open_predictor(model: Path) -> Predictor:
    """Open an exported network: a folder that `nas export` wrote, or one of its files.

    Nothing in the file is unpickled.

    Args:
        model: the folder, of which the weights are taken, or a file with one of the endings of `OPENERS`; files other
            than .onnx and .pt2 need the folder's other files beside them.

    Raises:
        ExportError: there is no such file, it is damaged or of another kind, or a library that it needs is missing.
    """
    file = model / WEIGHTS if model.is_dir() else model
    opener = OPENERS.get(file.suffix)
    if opener is None:
        raise ExportError(f"model must be a folder of nas export or a file {', '.join(OPENERS)}, got {model}")
    if not file.is_file():
        raise ExportError(f"model must be a folder of nas export or one of its files, there is no {file}")
    try:
        return opener(file)
    except ExportError:
        raise
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"model must be a file that nas export wrote, {file} can't be read: {reason}") from error


def _beside(file: Path) -> tuple[tuple[str, ...], tuple[int, int, int], dict[str, Any]]:
    """Return classes, shape and content of the `preprocessing.json` beside a file."""
    path = file.parent / PREPROCESSING
    if not path.is_file():
        raise ExportError(
            f"{file.name} needs the {PREPROCESSING} of its export beside it, there is none in {file.parent}"
        )
    rule = json.loads(path.read_text(encoding="utf-8"))
    return tuple(map(str, rule["classes"])), (rule["channels"], rule["height"], rule["width"]), rule


def _described(metadata: Mapping[str, str | bytes]) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    """Return classes and shape from the metadata inside a file."""
    classes, (channels, height, width) = json.loads(metadata["classes"]), json.loads(metadata["shape"])
    return tuple(map(str, classes)), (int(channels), int(height), int(width))


def _open_weights(file: Path) -> Predictor:
    classes, shape, rule = _beside(file)
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata() or {}
        architecture = json.loads(metadata["architecture"])
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    if SPARSE in metadata:
        dense = from_csr({name: tensor.numpy() for name, tensor in state.items()}, json.loads(metadata[SPARSE]))
        state = {name: torch.from_numpy(tensor) for name, tensor in dense.items()}
    network = build(graph_of(architecture))
    network.load_state_dict(state)
    return Predictor(file, classes, shape, predict_of(Deployed(network.eval(), rule, shape)))


def _open_program(file: Path) -> Predictor:
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if archive.open(name).read(2) in {b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"}:
                raise ExportError(f"a program of torch.export must hold no pickle, {file} holds one: {name}")
    metadata: dict[str, Any] = {"classes.json": "", "shape.json": ""}
    program = torch.export.load(file, extra_files=metadata)
    classes, shape = _described({name.removesuffix(".json"): text for name, text in metadata.items()})
    return Predictor(file, classes, shape, predict_of(program.module()))


def predict_of(module: torch.nn.Module) -> Predict:
    """Return the function of a module from pixels to logits."""

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = module(torch.from_numpy(pixels)).numpy()
        return logits

    return predict


def _open_onnx(file: Path) -> Predictor:
    _need(file, "onnxruntime", "'inception-nas[export]'")
    state = optional("onnxruntime.capi.onnxruntime_pybind11_state")
    try:
        session = optional("onnxruntime").InferenceSession(file, providers=["CPUExecutionProvider"])
    except tuple(getattr(state, name) for name in ONNX_ERRORS) as error:  # kin of Exception alone
        raise ValueError(str(error)) from error
    classes, shape = _described(session.get_modelmeta().custom_metadata_map)
    return Predictor(file, classes, shape, lambda pixels: session.run(["logits"], {"pixels": pixels})[0])


def _open_openvino(file: Path) -> Predictor:
    _need(file, "openvino", "'inception-nas[openvino]'")
    classes, shape, _ = _beside(file)
    network = optional("openvino").compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return Predictor(file, classes, shape, lambda pixels: network([pixels])[0])


def _open_litert(file: Path) -> Predictor:
    _need(file, "ai_edge_litert", "ai-edge-litert")
    classes, shape, _ = _beside(file)
    network = optional("ai_edge_litert.interpreter").Interpreter(str(file))
    network.allocate_tensors()
    given, found = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = []
        for image in pixels:
            network.set_tensor(given, image[None])
            network.invoke()
            logits.append(network.get_tensor(found).copy())
        return np.concatenate(logits)

    return Predictor(file, classes, shape, predict)


def _need(file: Path, library: str, install: str) -> None:
    if (reason := lacking(str(file), [library], install)) is not None:
        raise ExportError(reason)


OPENERS: Mapping[str, Callable[[Path], Predictor]] = {
    ".safetensors": _open_weights,
    ".onnx": _open_onnx,
    ".pt2": _open_program,
    ".xml": _open_openvino,
    ".tflite": _open_litert,
}
"""How a file is opened, by its ending."""
