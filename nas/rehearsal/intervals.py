"""Medians over seeds, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def estimate(values: Sequence[float]) -> Estimate:
    """The median of some values with the percentile bootstrap's interval of 95 % (Efron 1979).

    The resamples follow from the number of values alone, so equal values give equal intervals.

    Args:
        values: at least one, one a seed; infinite ones are values like any other.

    Raises:
        ValueError: there is none.
    """
    if not values:
        raise ValueError("an interval needs at least one value, got none")
    data = np.sort(np.array(values, dtype=np.float64))
    chosen = np.random.default_rng(len(data)).integers(len(data), size=(RESAMPLES, len(data)))
    medians = _medians(data[np.sort(chosen, axis=1)])
    tail = (1 - CONFIDENCE) / 2
    low, high = (medians[round(share * (RESAMPLES - 1))] for share in (tail, 1 - tail))
    return Estimate(float(_medians(data[None, :])[0]), float(low), float(high))


def _medians(rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Medians of sorted rows, in ascending order; infinity where one of the two in the middle is infinite."""
    width = rows.shape[1]
    low, high = rows[:, (width - 1) // 2], rows[:, width // 2]
    return np.sort(np.where(low == high, low, low / 2 + high / 2))
