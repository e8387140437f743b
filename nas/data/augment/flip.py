"""Random mirroring left to right."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from nas.data.augment.base import Chunk, ChunkAugmentation
from nas.data.copies import place
from nas.data.statistics import Shape


class Mirroring(ChunkAugmentation):
    """Mirroring of some images of a batch."""

    @abstractmethod
    def mirrored(self, chunk: Chunk) -> Tensor:
        """Return the images to mirror, (B,) bool on the CPU."""

    def forward(self, images: Tensor, chunk: Chunk) -> Tensor:
        """Mirror some of the images."""
        return mirror(images, self.mirrored(chunk))


class Flip(Mirroring):
    """Mirroring of each image with a probability; draws and results are those of kornia's `RandomHorizontalFlip`."""

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__()
        self.probability = probability

    def mirrored(self, chunk: Chunk) -> Tensor:
        """Draw the images to mirror."""
        return torch.rand(len(chunk)) < self.probability


def mirror(images: Tensor, which: Tensor) -> Tensor:
    """Return (B, C, H, W) with the images mirrored at which `which`, (B,) bool on the CPU, is true."""
    which = place(which, images.device).view(-1, 1, 1, 1)
    if images.dtype != torch.uint8:
        return torch.where(which, images.flip(-1), images)
    # Bits that differ from the mirror image are inverted where it is asked for: a quarter of the time of a choice.
    return images.flip(-1).bitwise_xor_(images).bitwise_and_(which.to(torch.uint8) * 255).bitwise_xor_(images)


def make(_: Shape, *, probability: float = 0.5) -> nn.Module:
    """Return a mirroring of each image with a probability."""
    if not 0 < probability <= 1:
        raise ValueError(f"option probability of flip must lie in (0, 1], got {probability:g}")
    return Flip(probability)
