"""Square of the mean color at a random place (DeVries and Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.copies import place
from nas.data.statistics import Shape


class Cutout(nn.Module):
    """Square of zeros, whose center is any pixel, so that a part of it may lie outside.

    Args:
        side: side of the square in pixels, at least 1.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Cut a square out of each of (B, C, H, W)."""
        count, _, height, width = images.shape
        upper, left = (torch.randint(size, (count,)) - self.side // 2 for size in (height, width))
        return images.masked_fill(
            box((height, width), (upper, upper + self.side), (left, left + self.side), images), 0.0
        )


def box(shape: tuple[int, int], rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor], like: Tensor) -> Tensor:
    """Return the inside of one box an image, (B, 1, H, W) bool on the device of `like`.

    Args:
        shape: (H, W).
        rows: first row of each box, and the first below it, (B,) on the CPU.
        columns: first column, and the first right of it.
        like: a tensor on the device.
    """
    inside = []
    for size, (first, after) in zip(shape, (rows, columns), strict=True):
        positions = torch.arange(size)
        inside.append(place((positions >= first[:, None]) & (positions < after[:, None]), like.device))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def make(shape: Shape, *, side: float = 0.5) -> nn.Module:
    """Return a square of `side` times the side of the image, and of a pixel at least."""
    if not 0 < side <= 1:
        raise ValueError(f"option side of cutout must lie in (0, 1], got {side:g}")
    return Cutout(max(1, round(side * max(shape[1:]))))
