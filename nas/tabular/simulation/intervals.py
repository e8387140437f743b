"""Medians over seeds, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median over seeds with its interval.

    Attributes:
        median: of the values.
        low: lower end of the interval.
        high: upper end.
    """

    median: float
    low: float
    high: float


def estimate(values: Sequence[float], resamples: int = RESAMPLES) -> Estimate:
    """The median of some values with the percentile bootstrap's interval of 95 % (Efron 1979).

    The resamples follow from the number of values alone, so equal values give equal intervals.

    Args:
        values: at least one, one a seed; infinite ones are values like any other.
        resamples: how many, at least 1.

    Raises:
        ValueError: there is none.
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
    """Places, in ascending order, that are drawn from `count` sorted values."""
    return np.sort(np.random.default_rng(count).integers(count, size=(resamples, count)), axis=1)


def _medians(rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Medians of sorted rows; infinity where one of the two in the middle is infinite."""
    width = rows.shape[1]
    low, high = rows[:, (width - 1) // 2], rows[:, width // 2]
    return np.where(low == high, low, low / 2 + high / 2)
