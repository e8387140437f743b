"""One random operation of random strength (Müller and Hutter 2021, arXiv:2103.10158), in its wide space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.augment.base import PixelAugmentation
from nas.data.augment.operations import NAMES, Strengths, apply_operations
from nas.data.statistics import Shape

LARGEST_SHIFT = 32
"""Pixels of the largest shift; at most the side of the image."""


class TrivialAugment(PixelAugmentation):
    """One operation on each image, of a strength that is uniform up to the largest.

    Args:
        strengths: the largest strengths.
    """

    def __init__(self, strengths: Strengths) -> None:
        super().__init__()
        self.strengths = strengths

    def forward(self, images: Tensor) -> Tensor:
        """Change (B, C, H, W) in [0, 1]."""
        kinds = torch.randint(len(NAMES), (len(images),))
        return apply_operations(images, kinds, torch.rand(len(images)) * 2 - 1, self.strengths)


def make(shape: Shape) -> nn.Module:
    """Return one random operation of random strength."""
    shift = min(1.0, LARGEST_SHIFT / max(shape[1:]))
    return TrivialAugment(Strengths(degrees=135.0, shear=0.99, shift=shift, factor=0.99, lost_bits=6))
