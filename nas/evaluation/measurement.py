"""Scores of a trained network on the test part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.training.module import accuracies


@torch.inference_mode()
def measure(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Return accuracy, balanced accuracy, mean cross-entropy and number of images on the test part, in float32.

    Args:
        network: in evaluation mode, on the device of the batches; images (B, C, H, W) to logits (B, classes).
        batches: images and labels (B,), every image once; at least one batch.
    """
    pairs = [(network(images.contiguous(memory_format=torch.channels_last)), labels) for images, labels in batches]
    logits, labels = (torch.cat(column).cpu() for column in zip(*pairs, strict=True))  # (N, classes), (N,)
    classes = logits.shape[1]
    confusion = torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2).reshape(classes, classes)
    accuracy, balanced_accuracy = accuracies(confusion)
    return {
        "test_accuracy": accuracy,
        "test_balanced_accuracy": balanced_accuracy,
        "test_loss": float(functional.cross_entropy(logits, labels)),
        "test_images": len(labels),
    }
