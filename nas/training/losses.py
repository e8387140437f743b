"""Losses of a training: cross-entropy with auxiliary heads, of one network or of each member of a pack."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def training_loss(output: Any, labels: Tensor, label_smoothing: float, class_weights: Tensor | None = None) -> Tensor:
    """Return the cross-entropy of a network in training mode, with its auxiliary heads.

    Args:
        output: logits (B, classes), or `(logits, [(auxiliary logits, weight), ...])`; each head's loss is added
            `weight` times (Szegedy et al. 2015, arXiv:1409.4842, section 5). Those of a pack are (B, k, classes).
        labels: (B,) int64, or shares of the classes (B, classes) float; those of a pack are (B, k) or (B, k, classes).
        label_smoothing: share of the target spread over all classes, in [0, 1).
        class_weights: (classes,) factors of the terms of each class; the mean over the batch is not divided by them.

    Returns:
        A scalar, (k,) for a pack.
    """
    logits, heads = (output, ()) if isinstance(output, Tensor) else output
    loss = _cross_entropy(logits, labels, label_smoothing, class_weights)
    for head, weight in heads:
        loss = loss + weight * _cross_entropy(head, labels, label_smoothing, class_weights)
    return loss


def _cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
    if logits.ndim == 2 and class_weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    flat, targets = (logits, labels) if logits.ndim == 2 else (logits.flatten(0, 1), labels.flatten(0, 1))
    each = functional.cross_entropy(
        flat, targets, weight=class_weights, label_smoothing=label_smoothing, reduction="none"
    )
    return each.mean() if logits.ndim == 2 else each.view(-1, logits.shape[1]).mean(dim=0)


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Return the inverse of each class' share of labels, their mean over the labels being 1.

    Args:
        labels: (N,) int64, N at least 1.
        classes: number of classes; one that is absent has weight 0.

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 3)
    tensor([0.6667, 2.0000, 0.0000])
    """
    counts = torch.zeros(classes).index_add_(0, labels, torch.ones(len(labels)))
    present = counts > 0
    return torch.where(present, len(labels) / (present.sum() * counts.clamp(min=1)), 0.0)


def validation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of the cross-entropies of a batch, of each member of a pack.

    Args:
        logits: (B, k, classes).
        labels: (B,) int64.

    Returns:
        (k,).
    """
    members = logits.shape[1]
    if members == 1:
        return functional.cross_entropy(logits[:, 0], labels, reduction="sum")[None]
    targets = labels[:, None].expand(-1, members).flatten()
    each = functional.cross_entropy(logits.flatten(0, 1), targets, reduction="none")
    return each.view(-1, members).sum(dim=0)
