"""Network to export, with its preprocessing and the images that every format is checked on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data import DataSpec, ImageData, ImageSet, Part, evaluation_loader, load
from nas.exports.deployed import Deployed
from nas.exports.isolation import relative_difference
from nas.training.restore import TrainedNetwork
from search_space.documents import graph_of
from search_space.graph import Graph
from search_space.network import Network

if TYPE_CHECKING:
    from nas.exports.sparse.pruner import PrunedNetwork

BATCH = 256
CALIBRATION = 256
"""Training images that ranges of activations are measured on, at most."""
RESIZE = (
    "decode a JPEG at a half, a quarter or an eighth where that leaves three times the input's size (Image.draft); "
    "turn as EXIF says; take the higher byte of 16-bit grey; lay transparency over white; convert to grey (Pillow mode "
    "L) for 1 channel, else to RGB; crop the middle to the input's proportions and resize it with Pillow's Lanczos "
    "filter (ImageOps.fit) where the size differs; divide by 255, subtract mean, divide by std"
)
SCALE = (
    "a signal (channels, length) as pixels (channels, 1, length): round((value - low) / (high - low) * 255), clipped "
    "to 0 to 255, low and high being the channel's scales; then divide by 255, subtract mean, divide by std"
)


@dataclass(frozen=True, eq=False)
class Subject:
    """Network to export.

    Attributes:
        architecture: its architecture in JSON form.
        graph: the graph that the architecture lowers to.
        network: the torch module, in evaluation mode, on the CPU, in float32.
        preprocessing: content of `preprocessing.json`, the steps from an image file to an input.
        pixels: (N, C, H, W) uint8 validation images to check every format on, N at least 1.
        labels: (N,) their true classes.
        logits: (N, classes) float32 outputs of the module for them.
        calibration: (M, C, H, W) uint8 training images, for formats with ranges of activations, M at least 1.
        circumstances: origin of the network and of its weights, as JSON values: study, trial, id, network_id, summary,
            costs, weights, environment, data and the like.
        pruned: the same network with weights set to zero, for the sparse format; None for none.
    """

    architecture: Mapping[str, Any]
    graph: Graph
    network: Network
    preprocessing: Mapping[str, Any]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    calibration: NDArray[np.uint8]
    circumstances: Mapping[str, Any]
    pruned: PrunedNetwork | None = None

    @cached_property
    def rounding(self) -> float:
        """Difference that float32 itself makes: of the logits from those in float64, see `relative_difference`.

        It is taken on the first images, as many as in a batch. The error of a sum grows with the number of layers.
        """
        with torch.inference_mode():
            exact = copy.deepcopy(self.deployed).double()(torch.from_numpy(self.pixels[:BATCH]))
        return relative_difference(self.logits[:BATCH].astype(np.float64), exact.numpy())

    @property
    def deployed(self) -> Deployed:
        """The network with its preprocessing inside."""
        return Deployed(self.network, self.preprocessing, self.pixels.shape[1:])

    @property
    def described(self) -> dict[str, Any]:
        """Metadata for a file, as JSON values: classes, image shape, architecture, rule from a picture to pixels."""
        return {
            "classes": list(self.preprocessing["classes"]),
            "shape": list(self.pixels.shape[1:]),
            "architecture": dict(self.architecture),
            "rule": self.preprocessing.get("rule", ""),
        }


def build_subject(
    circumstances: Mapping[str, Any],
    architecture: Mapping[str, Any],
    trained: TrainedNetwork,
    spec: DataSpec,
    images: int,
) -> Subject:
    """Return what the formats are written from and checked against.

    Args:
        circumstances: origin of the network and of its weights.
        architecture: JSON form of its architecture.
        trained: the trained network.
        spec: the data, with the training fraction that the weights were trained on.
        images: largest number of validation images to check on, spread evenly over the validation part.
    """
    data = load(replace(spec, streaming="always"))  # only a few images are read, however large the data
    sample = evenly_spaced(data.validation, images)
    return Subject(
        architecture=dict(architecture),
        graph=graph_of(architecture),
        network=trained.network,
        preprocessing=preprocessing(data),
        pixels=sample.images.numpy(),
        labels=sample.labels.numpy().astype(np.int64),
        logits=_logits(trained, data, sample),
        calibration=evenly_spaced(data.train, CALIBRATION).images.numpy(),
        circumstances={**circumstances, "data": spec.name, "data_content": data.fingerprint},
    )


def preprocessing(data: ImageData) -> dict[str, Any]:
    """Return the content of `preprocessing.json`: the steps from an image file to an input of the network."""
    channels, height, width = data.shape
    scaled: dict[str, Any] = {"scales": [list(ends) for ends in data.scales]} if data.scales else {}
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "mean": list(data.mean),
        "std": list(data.std),
        "classes": list(data.classes),
        "rule": SCALE if data.scales else RESIZE,
        **scaled,
    }


def evenly_spaced(part: Part, count: int) -> ImageSet:
    """Return at most `count` images, evenly spaced over a part of the data."""
    rows = np.unique(np.linspace(0, len(part) - 1, min(count, len(part))).round().astype(np.int64))
    return part.take(rows)


def _logits(trained: TrainedNetwork, data: ImageData, sample: ImageSet) -> NDArray[np.float32]:
    with torch.inference_mode():
        batches = [trained.network(images) for images, _ in evaluation_loader(data, BATCH, part=sample)]
    logits: NDArray[np.float32] = torch.cat(batches).numpy()
    return logits
