"""Scores of a trained network on the test part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.training.scores import accuracies, confusion_of


@torch.inference_mode()
def predict(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return logits (N, classes) and labels (N,) of all batches, on the CPU; arguments as for `measure`."""
    pairs = [(network(images.contiguous(memory_format=torch.channels_last)), labels) for images, labels in batches]
    logits, labels = (torch.cat(column).cpu() for column in zip(*pairs, strict=True))
    return logits, labels


@torch.inference_mode()
def measure(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Return accuracy, balanced accuracy, mean cross-entropy and number of images on the test part, in float32.

    Args:
        network: in evaluation mode, on the device of the batches; images (B, C, H, W) to logits (B, classes).
        batches: images and labels (B,), every image once; at least one batch.
    """
    logits, labels = predict(network, batches)
    accuracy, balanced_accuracy = accuracies(confusion_of(logits, labels))
    return {
        "test_accuracy": accuracy,
        "test_balanced_accuracy": balanced_accuracy,
        "test_loss": float(functional.cross_entropy(logits, labels)),
        "test_images": len(labels),
    }
