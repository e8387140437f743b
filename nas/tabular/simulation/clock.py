"""Simulated clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import final

from nas.config.budget import Budget

POLLS_AN_EPOCH = 4


def _no_thinking() -> float:
    return 0.0


@final
class SimulatedClock:
    """Clock that starts at 0 s and moves on by recorded seconds, and on request by those of the driver too."""

    def __init__(self, *, thinking: bool = False) -> None:
        """Start at 0 s.

        Args:
            thinking: whether the time that the driver takes between two moves counts.
        """
        self._seconds = 0.0
        self._real: Callable[[], float] = time.perf_counter if thinking else _no_thinking
        self._mark = self._real()

    def now(self) -> float:
        """Return the seconds since the start."""
        return self._seconds + self._real() - self._mark

    def advance(self, until: float) -> None:
        """Advance to a later moment.

        Raises:
            ValueError: the moment has passed.
        """
        if until < self._seconds:
            raise ValueError(f"a clock goes forward, got {until} s at {self._seconds} s")
        self._seconds = until
        self._mark = self._real()


def poll_seconds(budget: Budget, epoch_seconds: float) -> float:
    """Return the longest wait of a simulated driver: infinite, unless minutes may end the search meanwhile."""
    return math.inf if budget.minutes is None else epoch_seconds / POLLS_AN_EPOCH
