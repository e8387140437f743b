"""Width multiplier of published networks: every width times one factor."""

from __future__ import annotations

from search_space.leaves import check


def scaled(channels: int, width: float) -> int:
    """Return a number of channels times a width multiplier, rounded, at least 1.

    Published code rounds to multiples of 8 for the sake of hardware. Here a width may be anything, so that the cost of
    a small network comes near a given one.

    Args:
        channels: published width, at least 1.
        width: the multiplier, in (0, 1].

    Raises:
        ValueError: the multiplier is out of range.

    >>> scaled(64, 0.2), scaled(3, 0.01)
    (13, 1)
    """
    check(0 < width <= 1, f"width must be in (0, 1], got {width}")
    return max(1, round(channels * width))
