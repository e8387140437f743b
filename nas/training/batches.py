"""What a training asks of its data; whoever prepares images keeps these shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) as floats and labels (B,) as integers in [0, classes)."""


class TrainLoader(Protocol):
    """The training batches of one epoch after another."""

    def __len__(self) -> int:
        """Batches an epoch, the same every epoch."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the epoch that was set; order and augmentation follow from it and the loader's own seed."""
        ...

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, 0-based, that the next iteration yields."""
        ...


class ValLoader(Protocol):
    """The validation batches, the same ones every time."""

    def __len__(self) -> int:
        """Number of batches."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """The batches, in any order, without augmentation."""
        ...


class ImageData(Protocol):
    """The data of one trial."""

    @property
    def train_loader(self) -> TrainLoader:
        """The training part."""
        ...

    @property
    def val_loader(self) -> ValLoader:
        """The validation part."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes."""
        ...
