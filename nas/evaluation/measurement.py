"""Scores of a trained network on the test part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.training.scores import accuracies, confusion_of

BINS = 15
CONFUSED = 200
"""Largest number of classes whose confusion matrix is kept: 40,000 counts."""


@torch.inference_mode()
def predict(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return logits (N, classes) and labels (N,) of all batches, on the CPU; arguments as for `measure`."""
    pairs = [(network(images.contiguous(memory_format=torch.channels_last)), labels) for images, labels in batches]
    logits, labels = (torch.cat(column).cpu() for column in zip(*pairs, strict=True))
    return logits, labels


@torch.inference_mode()
def measure(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Return the scores of a network on the test part, in float32.

    Args:
        network: in evaluation mode, on the device of the batches; images (B, C, H, W) to logits (B, classes).
        batches: images and labels (B,), every image once; at least one batch.

    Returns:
        `test_accuracy`, `test_balanced_accuracy`, `test_loss` (mean cross-entropy), `test_calibration_error`,
        `test_images`, `test_classes` (see `class_scores`), and up to `CONFUSED` classes `test_confusion`, counts by
        true class (rows) and predicted one.
    """
    logits, labels = predict(network, batches)
    confusion = confusion_of(logits, labels)
    accuracy, balanced_accuracy = accuracies(confusion)
    return {
        "test_accuracy": accuracy,
        "test_balanced_accuracy": balanced_accuracy,
        "test_loss": float(functional.cross_entropy(logits, labels)),
        "test_calibration_error": calibration_error(logits, labels),
        "test_images": len(labels),
        "test_classes": class_scores(confusion.tolist()),
        **({"test_confusion": confusion.tolist()} if len(confusion) <= CONFUSED else {}),
    }


def class_scores(confusion: Sequence[Sequence[int]]) -> list[dict[str, float | int | None]]:
    """Return the scores of each class, in the order of the labels.

    Args:
        confusion: counts by true class (rows) and predicted one.

    Returns:
        For each class `precision`, the share of its images among those that were taken for it (None if none was),
        `recall`, the share of its images that were recognised (None without images), and `n`, its images.

    >>> class_scores([[3, 1], [0, 0]])
    [{'precision': 1.0, 'recall': 0.75, 'n': 4}, {'precision': 0.0, 'recall': None, 'n': 0}]
    """
    found = []
    for place, row in enumerate(confusion):
        right, images, taken = row[place], sum(row), sum(other[place] for other in confusion)
        precision, recall = (right / count if count else None for count in (taken, images))
        found.append({"precision": precision, "recall": recall, "n": images})
    return found


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy over 15 bins of confidence.

    The bins are of equal width and weighted by their images (Guo et al. 2017, arXiv:1706.04599, equation 3).

    Args:
        logits: (N, classes).
        labels: (N,).

    >>> calibration_error(torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]))
    0.0
    """
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    right = (predicted == labels).double()
    bins = (confidence * BINS).ceil().long().clamp(1, BINS) - 1  # of (0, 1/15], (1/15, 2/15], ...
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add_(0, bins, confidence - right)
    return float(gaps.abs().sum() / len(labels))
