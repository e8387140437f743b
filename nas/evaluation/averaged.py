"""Comparison of averaged weights with the last ones, on the validation part, before a network is handed over.

An average over too much of a training is worse than its end: over a few steps of a slow decay it holds the initial
weights. The search scores what it trains, whatever comes of it; what leaves the study is the better of the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.evaluation.measurement import predict
from nas.training.restore import TrainedNetwork, restore_network
from nas.training.scores import accuracies, confusion_of

STANDARD_ERRORS = 3.0
Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class HandedOver:
    """Network with the weights to hand over.

    Attributes:
        trained: the network, on the CPU.
        scores: `val_accuracy` and `val_balanced_accuracy` of the last weights and `val_accuracy_of_average`, if the
            average is clearly worse and the last weights are taken; else empty.
    """

    trained: TrainedNetwork
    scores: Mapping[str, float]


def better_weights(
    checkpoint: Path, architecture: Mapping[str, Any], batches: Callable[[], Batches], device: str = "cpu"
) -> HandedOver:
    """Return a network with its averaged weights, or with the last ones if the average is clearly worse.

    Args:
        checkpoint: the file.
        architecture: JSON form of the expected architecture.
        batches: returns images (B, C, H, W) of the validation part on `device` and labels (B,).
        device: where to compare.

    Raises:
        CheckpointError: as `restore_network` does.
    """
    trained = restore_network(checkpoint, architecture)
    if not trained.averaged:
        return HandedOver(trained, {})
    last = restore_network(checkpoint, architecture, averaged=False)
    found = []
    for each in (trained, last):
        logits, labels = predict(each.network.to(device), batches())
        each.network.cpu()
        found.append((logits.argmax(dim=1) == labels, confusion_of(logits, labels)))
    (right, _), (last_right, confusion) = found
    if not clearly_worse(right, last_right):
        return HandedOver(trained, {})
    accuracy, balanced = accuracies(confusion)
    scores = {"val_accuracy": accuracy, "val_balanced_accuracy": balanced}
    return HandedOver(last, scores | {"val_accuracy_of_average": float(right.double().mean())})


def clearly_worse(right: Tensor, other_right: Tensor) -> bool:
    """Return whether a classifier is worse than another on the same images by more than three standard errors.

    Only images on which exactly one of the two is right tell them apart: b that the other one alone has right and c
    that the first one alone has right, with the difference b - c and its standard error sqrt(b + c) (McNemar 1947).

    Args:
        right: (N,) bool, images that the first classifier has right.
        other_right: (N,) bool, images that the other one has right.

    >>> import torch
    >>> nine, ten = (torch.arange(20) >= n for n in (9, 10))
    >>> clearly_worse(nine, torch.ones(20).bool()), clearly_worse(ten, torch.ones(20).bool())
    (False, True)
    """
    lost, gained = int((other_right & ~right).sum()), int((right & ~other_right).sum())
    return lost - gained > STANDARD_ERRORS * math.sqrt(lost + gained)
