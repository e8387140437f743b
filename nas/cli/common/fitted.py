"""Images that are prepared as a trained network takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nas.config.data import DataSpec

if TYPE_CHECKING:
    from nas.evaluation.finetune.origin import Origin

FIXED = ("digits", "signals", "tensors")
"""Sources whose images have a size of their own."""


def fitted_data(data: DataSpec, origin: Origin) -> DataSpec:
    """Return the images with the size, channels and normalisation of a trained network, where none are given.

    Images of a fixed size stay as they are.
    """
    channels, height, width = origin.shape
    data = replace(data, mean=data.mean or origin.mean, std=data.std or origin.std)
    if data.source in FIXED:
        return data
    side = height if data.resolution is None and height == width else data.resolution
    return replace(data, resolution=side, channels=data.channels or channels)
