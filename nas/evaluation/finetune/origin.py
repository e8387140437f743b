"""Trained networks that a fine-tuning starts from: an exported network, or a published one with its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from nas.jobs.files import read_json, write_bytes
from nas.jobs.hashes import content_hash
from nas.training.starting_weights import checked_state
from nas.training.tensor_files import SUFFIXES, read_tensors
from nas.training.weights_error import StartingWeightsError
from search_space.documents import fitted, graph_of, input_of, reference_document, without_auxiliaries
from search_space.graph import Shape
from search_space.references import LAYOUTS, NORMALISATIONS, REFERENCES
from search_space.weights import published_state

WEIGHTS, PREPROCESSING = "weights.safetensors", "preprocessing.json"
"""Files of an exported network."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Trained network, with the normalisation of the images that it was trained on.

    Attributes:
        name: of the published network, or of the exported one's folder.
        document: JSON form of the network, see `search_space.documents`.
        state: its weights without auxiliary classifiers.
        classes: names of its classes in order; empty if they are not known.
        mean: of each channel, of pixels in [0, 1].
        std: deviation likewise.
        sha256: SHA-256 of the file of weights.
    """

    name: str
    document: Mapping[str, Any]
    state: Mapping[str, Tensor]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images that it was trained on."""
        return input_of(self.document)

    def told(self) -> dict[str, Any]:
        """Return the facts about it, as JSON values."""
        return {"name": self.name, "weights_sha256": self.sha256, "input": list(self.shape)}

    def fitted(self, shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
        """Return the document of the network for other images and classes.

        Raises:
            ValueError: images of another number of channels, or so small that a layer does not fit.
        """
        if shape[0] != self.shape[0]:
            raise ValueError(
                f"images must have the {self.shape[0]} channels of {self.name}, got {shape[0]}: set data.channels"
            )
        found = fitted(self.document, Shape(*shape), classes)
        try:
            graph_of(found)
        except ValueError as error:
            raise ValueError(
                f"images must be large enough for {self.name}, at {shape[1]}x{shape[2]} they are not ({error}): "
                f"set data.resolution"
            ) from error
        return found

    def write_start(self, path: Path) -> None:
        """Write the weights to a file that a training starts from, the same bytes in every run."""
        described = {"architecture": dict(self.document), "classes": list(self.classes)}
        tensors = {name: tensor.contiguous() for name, tensor in self.state.items()}
        metadata = {"format": "pt", **{key: json.dumps(one) for key, one in described.items()}}
        write_bytes(path, _ordered(save(tensors, metadata)))


def _ordered(content: bytes) -> bytes:
    """Return a file in safetensors with its header in alphabetical order: the library writes metadata in a random one.

    A file is the length of the header in 8 bytes, the header in JSON, padded to a multiple of 8, and the tensors.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


def read_exported(model: Path) -> Origin:
    """Return an exported network.

    Args:
        model: its folder, or its `weights.safetensors`; the folder's `preprocessing.json` is read too.

    Raises:
        StartingWeightsError: there is no such network, or a file is damaged.
    """
    file = model / WEIGHTS if model.is_dir() else model
    if file.suffix != ".safetensors" or not file.is_file():
        raise StartingWeightsError(f"model must be a folder that nas export wrote, with {WEIGHTS}, got {model}")
    try:
        return _exported(file)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise StartingWeightsError(f"model must be a network that nas export wrote, got {file}: {reason}") from error


def _exported(file: Path) -> Origin:
    state, metadata = read_tensors(file)
    if "architecture" not in metadata:
        raise ValueError("it names no architecture; a published checkpoint takes reference=NAME weights=FILE")
    rule = read_json(file.parent / PREPROCESSING)
    if rule is None:
        raise ValueError(f"there is no {PREPROCESSING} beside it")
    document = without_auxiliaries(json.loads(metadata["architecture"]))
    kept = {name: tensor for name, tensor in state.items() if ".head." not in name}
    weights = checked_state(graph_of(document), kept)
    classes = tuple(map(str, rule["classes"]))
    mean, std = (tuple(map(float, rule[key])) for key in ("mean", "std"))
    return Origin(_name(file.parent), document, weights, classes, mean, std, content_hash([file.read_bytes()]))


def _name(folder: Path) -> str:
    """Return a name of an exported network: `STUDY-NUMBER` of one in a study's folder."""
    found = folder.resolve()
    return f"{found.parent.parent.name}-{found.name}" if found.parent.name == "export" else found.name


def read_published(reference: str, weights: Path) -> Origin:
    """Return a published network with the weights of a published checkpoint.

    Args:
        reference: its name, one of `LAYOUTS`.
        weights: file of a state dict with torchvision's or timm's names; nothing but tensors is read of it.

    Raises:
        StartingWeightsError: there is no such network or file, or the names or shapes are of another network.
    """
    if reference not in LAYOUTS:
        raise StartingWeightsError(
            f"reference must be a network with published weights, {', '.join(LAYOUTS)}, got {reference!r}"
        )
    if weights.suffix not in SUFFIXES:
        raise StartingWeightsError(f"weights must be a file {', '.join(SUFFIXES)}, got {weights}")
    try:
        return _published(reference, weights)
    except (OSError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise StartingWeightsError(
            f"weights must be those of {reference} in torchvision's or timm's names, got {weights}: {reason}"
        ) from error


def _published(reference: str, weights: Path) -> Origin:
    state, metadata = read_tensors(weights)
    if "architecture" in metadata:
        raise ValueError("it is an exported network: give its folder as model=FOLDER")
    classes, kept = published_state(reference, state)
    document = reference_document(reference, REFERENCES[reference]().input, classes)
    mean, std = NORMALISATIONS[reference]
    sha256 = content_hash([weights.read_bytes()])
    return Origin(reference, document, checked_state(graph_of(document), kept), (), mean, std, sha256)
