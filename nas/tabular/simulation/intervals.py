"""Medians over seeds with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """Median over seeds with its interval.

    Attributes:
        median: of the values.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    median: float
    low: float
    high: float


def estimate(values: Sequence[float], resamples: int = RESAMPLES) -> Estimate:
    """Return the median of some values with the percentile bootstrap's interval of 95 % (Efron 1979).

    The resamples depend on the number of values alone, so equal values give equal intervals.

    Args:
        values: one a seed, at least one; they may be infinite.
        resamples: number of bootstrap resamples, at least 1.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("an interval needs at least one value, got none")
    data = np.sort(np.array(values, dtype=np.float64))
    medians = np.sort(_medians(data[_resamples(len(data), resamples)]))
    tail = (1 - CONFIDENCE) / 2
    low, high = (medians[round(share * (resamples - 1))] for share in (tail, 1 - tail))
    return Estimate(float(_medians(data[None, :])[0]), float(low), float(high))


@cache
def _resamples(count: int, resamples: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Draw ascending indices of `count` sorted values: (resamples, count)."""
    return np.sort(np.random.default_rng(count).integers(count, size=(resamples, count)), axis=1)


def _medians(rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the medians of sorted rows, infinite if one of the two values in the middle is."""
    width = rows.shape[1]
    low, high = rows[:, (width - 1) // 2], rows[:, width // 2]
    return np.where(low == high, low, low / 2 + high / 2)
