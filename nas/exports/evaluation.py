"""Scores of an exported network on a part of an image set."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nas.data import DataSpec, Part, load, load_test
from nas.evaluation.measurement import CONFUSED, calibration_error
from nas.exports.format import ExportError
from nas.exports.predictors import Predictor, open_predictor
from nas.training.scores import accuracies, confusion_of

__all__ = ["evaluate", "open_predictor", "wilson_interval"]

BATCH = 256
NORMAL_95 = 1.96


def evaluate(predictor: Predictor, spec: DataSpec, part: str) -> dict[str, Any]:
    """Return the scores of a network on a part of an image set.

    Args:
        predictor: the network.
        spec: the images; classes are matched by name, so that their order may differ.
        part: `test`, `validation` or `train`.

    Returns:
        `accuracy` with its 95 % `interval` (Wilson 1927), `balanced_accuracy`, `loss` (mean cross-entropy),
        `calibration_error`, `images`, and up to `CONFUSED` classes `classes` and `confusion`, counts by true class
        (rows) and predicted one.

    Raises:
        ExportError: images of another shape, or classes that the network does not have.
        DataError: the images can't be read, or there is no such part.
    """
    spec = replace(spec, streaming="always")
    data = load(spec)
    if tuple(data.shape) != predictor.shape:
        raise ExportError(
            f"images must be of the network's shape {predictor.shape}, {spec.name} has {tuple(data.shape)}"
        )
    unknown = [name for name in data.classes if name not in predictor.classes]
    if unknown:
        raise ExportError(f"classes of the images must be the network's, {spec.name} has {', '.join(unknown[:5])} too")
    chosen = load_test(spec) if part == "test" else getattr(data, part)
    order = torch.tensor([predictor.classes.index(name) for name in data.classes])
    return _scores(*_outputs(predictor, chosen, order), predictor.classes)


def _outputs(predictor: Predictor, part: Part, order: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (N, classes) and labels (N,) in the order of the network's classes."""
    logits, labels = [], []
    for start in range(0, len(part), BATCH):
        batch = part.take(np.arange(start, min(start + BATCH, len(part))))
        logits.append(torch.from_numpy(np.asarray(predictor.predict(batch.images.numpy()))))
        labels.append(order[batch.labels])
    return torch.cat(logits), torch.cat(labels)


def _scores(logits: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    confusion = confusion_of(logits, labels)
    accuracy, balanced = accuracies(confusion)
    shown = {"classes": list(classes), "confusion": confusion.tolist()} if len(confusion) <= CONFUSED else {}
    return {
        "accuracy": accuracy,
        "interval": list(wilson_interval(accuracy, len(labels))),
        "balanced_accuracy": balanced,
        "loss": float(functional.cross_entropy(logits, labels)),
        "calibration_error": calibration_error(logits, labels),
        "images": len(labels),
        **shown,
    }


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `count` (Wilson 1927, Probable inference).

    Args:
        share: in [0, 1].
        count: at least 1.

    >>> [round(end, 3) for end in wilson_interval(0.9, 100)]
    [0.826, 0.945]
    """
    z = NORMAL_95
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half
