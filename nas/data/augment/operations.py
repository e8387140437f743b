"""Operations of automatic augmentation (Cubuk et al. 2019, arXiv:1805.09501, table 6), one drawn for each image.

kornia's policies draw one operation for a whole batch; chunks are thousands of images, which would all be changed
alike. Here the images of an operation are changed together, and the five that move pixels are one sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from kornia import enhance
from torch import Tensor
from torch.nn import functional

from nas.data.augment.base import take
from nas.data.copies import place

GREY = 0.5
"""Value of the pixels that move in from outside."""

MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


@dataclass(frozen=True)
class Strengths:
    """Largest strength of each operation.

    Attributes:
        degrees: of a rotation.
        shear: shift over distance from the middle.
        shift: share of the side.
        factor: of brightness, contrast, saturation and sharpness, from 1.
        lost_bits: of the 8 bits of a value.
    """

    degrees: float
    shear: float
    shift: float
    factor: float
    lost_bits: int


def apply_operations(images: Tensor, kinds: Tensor, amounts: Tensor, strengths: Strengths) -> Tensor:
    """Apply one operation to each image.

    Args:
        images: (B, C, H, W) in [0, 1].
        kinds: (B,) int64 on the CPU, rows of `NAMES`.
        amounts: (B,) on the CPU, shares of the largest strength in [-1, 1]; the sign counts where there are two
            directions.
        strengths: the largest strengths.

    Returns:
        Images of the same shape, in [0, 1].
    """
    changed = images.clone()
    moved = torch.nonzero(kinds < len(MOVES))[:, 0]
    if len(moved):
        rows = place(moved, images.device)
        theta = place(_moves(kinds[moved], amounts[moved], strengths, images.shape[3] / images.shape[2]), images.device)
        changed[rows] = _sampled(take(images, rows), theta)
    for number, (name, change) in enumerate(CHANGES.items(), start=len(MOVES)):
        some = torch.nonzero(kinds == number)[:, 0]
        if len(some) and name != "identity":
            rows, amount = place(some, images.device), place(amounts[some], images.device)
            changed[rows] = change(take(images, rows), amount, strengths)
    return changed


def _moves(kinds: Tensor, amounts: Tensor, strengths: Strengths, proportion: float) -> Tensor:
    """Return affine maps from places in the result to places in the image, (B, 2, 3), in units of half a side."""
    largest = [math.radians(strengths.degrees), strengths.shear, strengths.shear, *(2 * [2 * strengths.shift])]
    strength = amounts * torch.tensor(largest)[kinds]
    rotate, shear_x, shear_y, translate_x, translate_y = (
        torch.where(kinds == kind, strength, 0.0) for kind in range(len(MOVES))
    )
    first = torch.stack((rotate.cos(), (shear_x - rotate.sin()) / proportion, translate_x), 1)
    second = torch.stack(((shear_y + rotate.sin()) * proportion, rotate.cos(), translate_y), 1)
    return torch.stack((first, second), 1)


def _sampled(images: Tensor, theta: Tensor) -> Tensor:
    """Return images sampled at the places that affine maps (B, 2, 3) lead to.

    torch's `affine_grid` multiplies small matrices, which takes longer than the sampling.
    """
    height, width = images.shape[2:]
    x, y = ((2 * torch.arange(size, device=images.device) + 1) / size - 1 for size in (width, height))
    rows = theta[:, None, :, 1] * y[:, None] + theta[:, None, :, 2]  # (B, H, 2)
    grid = torch.addcmul(rows[:, :, None], theta[:, None, None, :, 0], x[:, None])
    return functional.grid_sample(images - GREY, grid, align_corners=False).add_(GREY).clamp_(0, 1)


def _factors(amounts: Tensor, strengths: Strengths) -> Tensor:
    return 1 + amounts * strengths.factor


def _saturation(images: Tensor, amounts: Tensor, strengths: Strengths) -> Tensor:
    if images.shape[1] == 1:
        return images
    changed: Tensor = enhance.adjust_saturation_with_gray_subtraction(images, _factors(amounts, strengths))
    return changed


def _sharpness(images: Tensor, amounts: Tensor, strengths: Strengths) -> Tensor:
    if min(images.shape[2:]) < 3:  # there is no pixel with eight neighbours
        return images
    changed: Tensor = enhance.sharpness(images, _factors(amounts, strengths))
    return changed


def _posterize(images: Tensor, amounts: Tensor, strengths: Strengths) -> Tensor:
    """Return images of fewer bits, the others 0."""
    step = 2 ** (amounts.abs() * strengths.lost_bits).round().view(-1, 1, 1, 1)
    return ((images * 255).round() / step).floor() * step / 255


def _solarize(images: Tensor, amounts: Tensor, _: Strengths) -> Tensor:
    """Return images with values above a threshold inverted; it is 1 at no strength and 0 at the largest."""
    threshold = (1 - amounts.abs()).view(-1, 1, 1, 1)
    return torch.where(images > threshold, 1 - images, images)


def _auto_contrast(images: Tensor, _amounts: Tensor, _: Strengths) -> Tensor:
    """Return images whose channels reach from 0 to 1; a channel of one value stays as it is."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-6), images)


Change = Callable[[Tensor, Tensor, Strengths], Tensor]

CHANGES: Mapping[str, Change] = {
    "identity": lambda images, _amounts, _: images,
    "brightness": lambda images, amounts, s: enhance.adjust_brightness_accumulative(images, _factors(amounts, s)),
    "contrast": lambda images, amounts, s: enhance.adjust_contrast_with_mean_subtraction(images, _factors(amounts, s)),
    "saturation": _saturation,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "auto_contrast": _auto_contrast,
    "equalize": lambda images, _amounts, _: enhance.equalize(images),
}
"""Operations on the values, by name."""

NAMES = (*MOVES, *CHANGES)
