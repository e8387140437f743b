"""Kinds of augmentation, by the images and labels that they work on, and how they draw.

All draws are made on the CPU from torch's global generator, which the loader seeds for every chunk of an epoch: so a
batch is the same on every device, and a GPU is never waited for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Chunk:
    """Place of some images in a training: a few whole batches that are augmented at once.

    Attributes:
        rows: (n,) int64 on the CPU, rows of the images in the training part.
        total: images of the training part.
        batch: images a batch, by which the chunk is cut.
        epoch: the epoch, 0-based.
        seed: seed of the training's batches.
    """

    rows: Tensor
    total: int
    batch: int
    epoch: int
    seed: int

    def __len__(self) -> int:
        return len(self.rows)


class PixelAugmentation(nn.Module, ABC):
    """Augmentation of images before they are normalised: (B, C, H, W) float32 in [0, 1]."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape, in [0, 1]."""


class ChunkAugmentation(nn.Module, ABC):
    """Augmentation of normalised images that depends on the epoch or on which images they are."""

    @abstractmethod
    def forward(self, images: Tensor, chunk: Chunk) -> Tensor:
        """Return images of the same shape (B, C, H, W)."""


class MixingAugmentation(nn.Module, ABC):
    """Augmentation of normalised images that also mixes their labels."""

    @abstractmethod
    def forward(self, images: Tensor, targets: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
        """Mix each image with its partner.

        Args:
            images: (B, C, H, W) float32.
            targets: (B, classes) float32, the shares of the classes.
            partners: (B,) int64 on the device of the images, another image of the same batch for each.

        Returns:
            Images and targets of the same shapes.
        """


def take(images: Tensor, rows: Tensor) -> Tensor:
    """Return the images at `rows` in the memory format of all, since copying between formats is slow."""
    if images.is_contiguous():
        return images.index_select(0, rows)
    return images.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for the block, and restore their state after it.

    Only the CPU's and that of `device` are seeded, the latter for augmentations from elsewhere.
    """
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
