"""Protocols of the data of a training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) float32 and labels (B,) int64 in [0, classes)."""


class TrainLoader(Protocol):
    """Training batches, epoch by epoch."""

    def __len__(self) -> int:
        """Return the number of batches an epoch, the same for every epoch."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch that was set; order and augmentation follow from it and the loader's seed."""
        ...

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, 0-based, that the next iteration yields."""
        ...


class ValLoader(Protocol):
    """Validation batches, the same for every iteration."""

    def __len__(self) -> int:
        """Return the number of batches."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches, in any order, without augmentation."""
        ...


class ImageData(Protocol):
    """Data of one trial."""

    @property
    def train_loader(self) -> TrainLoader:
        """Batches of the training part."""
        ...

    @property
    def val_loader(self) -> ValLoader:
        """Batches of the validation part."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes."""
        ...

    @property
    def class_weights(self) -> Tensor | None:
        """Weights of the classes in the training loss (classes,), None for none."""
        ...
