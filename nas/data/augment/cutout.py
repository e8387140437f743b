"""Square of the mean color at a random place (DeVries and Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.copies import place
from nas.data.normalise import as_images
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
        return with_boxes(images, (upper, upper + self.side), (left, left + self.side))


Interval = tuple[Tensor, Tensor]
"""First positions of some intervals, and the first after them: both (B,) on the CPU."""


def with_boxes(images: Tensor, rows: Interval, columns: Interval, other: Tensor | None = None) -> Tensor:
    """Return images with other pixels inside one box each.

    Args:
        images: (B, C, H, W).
        rows: rows of the boxes.
        columns: their columns.
        other: images of the same shape, whose pixels stand in the boxes; None for zeros.
    """
    _, channels, height, width = images.shape
    inside_rows, inside_columns = (
        place((torch.arange(size) >= first[:, None]) & (torch.arange(size) < after[:, None]), images.device)
        for size, (first, after) in ((height, rows), (width, columns))
    )
    if images.is_contiguous():
        inside = (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
        return torch.where(inside, 0.0 if other is None else other, images)
    # A row of pixels with all of their channels is one run of memory, which takes two thirds of the time.
    inside = inside_rows[:, :, None] & inside_columns.repeat_interleave(channels, 1)[:, None, :]
    filling = 0.0 if other is None else _runs(other)
    return as_images(torch.where(inside, filling, _runs(images)).view(-1, height, width, channels))


def _runs(images: Tensor) -> Tensor:
    """Return (B, C, H, W) as (B, H, W × C)."""
    return images.permute(0, 2, 3, 1).flatten(2)


def make(shape: Shape, *, side: float = 0.5) -> nn.Module:
    """Return a square of `side` times the side of the image, and of a pixel at least."""
    if not 0 < side <= 1:
        raise ValueError(f"option side of cutout must lie in (0, 1], got {side:g}")
    return Cutout(max(1, round(side * max(shape[1:]))))
