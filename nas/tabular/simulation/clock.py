"""A clock that moves when it is told to."""

from __future__ import annotations

from typing import final


@final
class SimulatedClock:
    """Seconds of trainings that only a table has seen; starts at 0."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> float:
        """Seconds since the start."""
        return self._seconds

    def advance(self, until: float) -> None:
        """Move on to a later moment.

        Raises:
            ValueError: it lies in the past.
        """
        if until < self._seconds:
            raise ValueError(f"a clock goes forward, got {until} s at {self._seconds} s")
        self._seconds = until
