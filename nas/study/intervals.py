"""Confidence intervals of means over seeds."""

from __future__ import annotations

import math

from scipy.stats import t as student


def student_reach(deviation: float, count: int, confidence: float) -> float:
    """Return half the width of the confidence interval of a mean, by Student's t.

    Args:
        deviation: standard deviation of the values, with n - 1 in the denominator.
        count: number of values n, at least 2.
        confidence: probability of the interval, in (0, 1).

    >>> round(student_reach(1.0, 3, 0.95), 3)
    2.484
    """
    return float(student.ppf((1 + confidence) / 2, count - 1)) * deviation / math.sqrt(count)
