"""Losses of a training: cross-entropy with auxiliary heads, of one network or of each member of a pack."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional


def training_loss(output: Any, labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the cross-entropy of a network in training mode, with its auxiliary heads.

    Args:
        output: logits (B, classes), or `(logits, [(auxiliary logits, weight), ...])`; each head's loss is added
            `weight` times (Szegedy et al. 2015, arXiv:1409.4842, section 5). Those of a pack are (B, k, classes).
        labels: (B,) int64, or shares of the classes (B, classes) float; those of a pack are (B, k) or (B, k, classes).
        label_smoothing: share of the target spread over all classes, in [0, 1).

    Returns:
        A scalar, (k,) for a pack.
    """
    logits, heads = (output, ()) if isinstance(output, Tensor) else output
    loss = _cross_entropy(logits, labels, label_smoothing)
    for head, weight in heads:
        loss = loss + weight * _cross_entropy(head, labels, label_smoothing)
    return loss


def _cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    if logits.ndim == 2:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    flat, targets = logits.flatten(0, 1), labels.flatten(0, 1)
    each = functional.cross_entropy(flat, targets, label_smoothing=label_smoothing, reduction="none")
    return each.view(-1, logits.shape[1]).mean(dim=0)


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
