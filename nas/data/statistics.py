"""Mean and standard deviation of pixels, exact and in one pass: sums of each image, added up over any subset."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
"""(C, H, W) of an image."""


def moments(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the sum of the pixels and the sum of their squares, of each image and channel: (N, C, 2).

    Args:
        images: (N, C, H, W); eight times their size is needed in memory.
    """
    wide = images.astype(np.int64)
    return np.stack([wide.sum((2, 3)), (wide * wide).sum((2, 3))], axis=-1)


def mean_and_std(sums: NDArray[np.int64], shape: Shape) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel, of pixels scaled to [0, 1].

    Args:
        sums: (N, C, 2), of `moments`.
        shape: (C, H, W) of the images.

    Returns:
        The means and the deviations; a deviation is at least 1/255, so that a constant channel can be divided by it.
    """
    count = len(sums) * shape[1] * shape[2]
    totals = sums.sum(axis=0)  # (C, 2)
    # Exact in integers: n·Σx² - (Σx)² loses nothing to cancellation.
    variances = [count * int(squares) - int(total) ** 2 for total, squares in totals]
    mean = tuple(int(total) / count / 255 for total, _ in totals)
    return mean, tuple(max(variance**0.5 / count, 1.0) / 255 for variance in variances)


def image_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a hash of the pixels of each image, (N,): equal ones are almost certainly of equal images.

    Args:
        images: (N, C, H, W).
    """
    digests = [hashlib.blake2b(image.data.cast("B"), digest_size=8).digest() for image in np.ascontiguousarray(images)]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
