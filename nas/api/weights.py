"""Weights of networks in a study, and predictions with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from nas.cli.app.stored_files import stored_settings
from nas.data import DataSpec, load, make_image_set
from nas.exports.format import ARCHITECTURE, PREPROCESSING
from nas.exports.trained_weights import ChosenCheckpoint, check_average, choose_checkpoint
from nas.search.fingerprint import study_data
from nas.study.study import Study
from nas.study.trial import Record
from search_space.documents import graph_of
from search_space.graph import Graph
from search_space.network import Network, build

BATCH = 256
WEIGHTS = "weights.safetensors"

log = logging.getLogger(__name__)


@final
@dataclass(frozen=True, eq=False)
class Predictor:
    """Trained network with its preprocessing.

    Attributes:
        module: the network in evaluation mode.
        shape: (C, H, W) of the images.
        classes: names of the classes.
        mean: mean of each channel, of pixels in [0, 1].
        std: deviation of each channel.
    """

    module: Network
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def from_export(cls, folder: Path) -> Predictor:
        """Return the network of an exported folder, which no code of the folder is run for.

        Raises:
            ValueError: the folder has no weights, or is no export.
        """
        missing = [name for name in (ARCHITECTURE, PREPROCESSING, WEIGHTS) if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"{folder} must be an export with weights, it lacks {', '.join(missing)}")
        graph = graph_of(_json(folder / ARCHITECTURE))
        module = build(graph)
        module.load_state_dict(load_file(folder / WEIGHTS))
        steps = _json(folder / PREPROCESSING)
        return cls(
            module.eval(), tuple(graph.input), tuple(steps["classes"]), tuple(steps["mean"]), tuple(steps["std"])
        )

    def probabilities(self, images: Tensor) -> NDArray[np.float32]:
        """Return the probability of each class (n, classes).

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
        pixels = make_image_set(images, torch.zeros(len(images)), self.classes).images
        mean, std = (torch.tensor(values)[None, :, None, None] for values in (self.mean, self.std))
        with torch.inference_mode():
            batches = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
            parts = [self.module((batch.float() / 255 - mean) / std).softmax(1) for batch in batches]
        probabilities: NDArray[np.float32] = torch.cat(parts).numpy()
        return probabilities


def _json(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def fresh_module(graph: Graph, seed: int) -> Network:
    """Return a network with fresh weights of a seed, and leave torch's random state as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(graph)


def trained_module(study: Study, record: Record) -> Network:
    """Return the network of a trial with the best weights that there are, in evaluation mode.

    Averaged weights are compared with the last ones on the validation part, as for an export; where the images are
    gone, the averaged ones are taken with a warning.

    Raises:
        ValueError: there are no weights.
    """
    chosen = choose_checkpoint(study, record)
    if not chosen.trained.averaged:
        return chosen.trained.network
    try:
        spec = _images(study)
    except (ValueError, OSError) as error:
        log.warning("the averaged weights of trial %d were not compared with the last ones: %s", record.number, error)
        return chosen.trained.network
    return _compared(chosen, record, spec).trained.network


def predictor_of(study: Study, record: Record) -> Predictor:
    """Return the network of a trial with its best weights and its preprocessing.

    Raises:
        ValueError: there are no weights, or the study's images are gone.
    """
    spec = _images(study)
    chosen = _compared(choose_checkpoint(study, record), record, spec)
    data = load(replace(_fraction(chosen, spec), streaming="always"))  # for mean and deviation of its images
    return Predictor(chosen.trained.network, tuple(data.shape), tuple(data.classes), tuple(data.mean), tuple(data.std))


def _images(study: Study) -> DataSpec:
    return study_data(study, stored_settings(study).get("data", {}), None)[0]


def _compared(chosen: ChosenCheckpoint, record: Record, spec: DataSpec) -> ChosenCheckpoint:
    return check_average(chosen, record, _fraction(chosen, spec))


def _fraction(chosen: ChosenCheckpoint, spec: DataSpec) -> DataSpec:
    return spec if chosen.train_fraction is None else replace(spec, train_fraction=chosen.train_fraction)
