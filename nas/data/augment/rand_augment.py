"""Several random operations of one strength (Cubuk et al. 2020, arXiv:1909.13719)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.augment.base import PixelAugmentation
from nas.data.augment.operations import NAMES, Strengths, apply_operations
from nas.data.statistics import Shape

LARGEST = 30
"""Magnitude at which every operation has its largest strength."""
STRENGTHS = Strengths(degrees=30.0, shear=0.3, shift=0.45, factor=0.9, lost_bits=4)


class RandAugment(PixelAugmentation):
    """`operations` operations on each image, drawn independently, all of one strength; directions are random.

    Args:
        operations: operations on an image.
        share: strength, as a share of the largest.
    """

    def __init__(self, operations: int, share: float) -> None:
        super().__init__()
        self.operations, self.share = operations, share

    def forward(self, images: Tensor) -> Tensor:
        """Change (B, C, H, W) in [0, 1]."""
        for _ in range(self.operations):
            kinds = torch.randint(len(NAMES), (len(images),))
            signs = torch.randint(2, (len(images),)) * 2.0 - 1
            images = apply_operations(images, kinds, signs * self.share, STRENGTHS)
        return images


def make(_: Shape, *, operations: int = 2, magnitude: float = 9.0) -> nn.Module:
    """Return `operations` random operations of a magnitude in (0, 30]."""
    if not 1 <= operations <= 14:
        raise ValueError(f"option operations of rand_augment must lie in [1, 14], got {operations}")
    if not 0 < magnitude <= LARGEST:
        raise ValueError(f"option magnitude of rand_augment must lie in (0, {LARGEST}], got {magnitude:g}")
    return RandAugment(operations, magnitude / LARGEST)
