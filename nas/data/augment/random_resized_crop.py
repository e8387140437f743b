"""Random part of the image, resized to the whole (Szegedy et al. 2015, arXiv:1409.4842, section 6)."""

from __future__ import annotations

import torch
from kornia.augmentation.random_generator import ResizedCropGenerator
from torch import Tensor, nn
from torch.nn import functional

from nas.data.copies import place
from nas.data.statistics import Shape


class RandomResizedCrop(nn.Module):
    """Rectangle of random area and proportions, resized to the image's size by bilinear interpolation.

    kornia draws the rectangles, and cuts and resizes image by image. Here one sampling serves the whole batch, with the
    same result up to rounding.

    Args:
        size: (H, W) of the images.
        scale: smallest and largest area, as a share of the image's.
        ratio: smallest and largest width over height.
    """

    def __init__(self, size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]) -> None:
        super().__init__()
        self.draw = ResizedCropGenerator(size, scale, ratio)

    def forward(self, images: Tensor) -> Tensor:
        """Resize a part of each of (B, C, H, W)."""
        corners = self.draw(tuple(images.shape), False)["src"]  # (B, 4, 2): x and y of the corner pixels, clockwise
        x, y = (
            place(_samples(corners[:, 0, axis], corners[:, 2, axis], images.shape[3 - axis]), images.device)
            for axis in (0, 1)
        )
        grid = torch.stack((x[:, None, :].expand(-1, y.shape[1], -1), y[:, :, None].expand(-1, -1, x.shape[1])), 3)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=True)


def _samples(first: Tensor, last: Tensor, size: int) -> Tensor:
    """Return places from the first to the last pixel of each part, (B, size); those of the image reach from -1 to 1."""
    places = torch.lerp(first[:, None], last[:, None], torch.linspace(0, 1, size))
    return places * (2 / max(1, size - 1)) - 1


def make(
    shape: Shape, *, scale: tuple[float, ...] = (0.08, 1.0), ratio: tuple[float, ...] = (0.75, 1.3333333)
) -> nn.Module:
    """Return a crop of an area and of proportions in the given intervals, resized."""
    for name, pair, most in (("scale", scale, 1.0), ("ratio", ratio, 100.0)):
        if len(pair) != 2 or not 0 < pair[0] <= pair[1] <= most:
            raise ValueError(
                f"option {name} of random_resized_crop must be two numbers in (0, {most:g}], the smaller first, "
                f"got {list(pair)}"
            )
    return RandomResizedCrop(shape[1:], (scale[0], scale[1]), (ratio[0], ratio[1]))
