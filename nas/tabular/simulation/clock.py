"""Simulated clock."""

from __future__ import annotations

from typing import final


@final
class SimulatedClock:
    """Clock that starts at 0 s and moves on by recorded seconds."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> float:
        """Return the seconds since the start."""
        return self._seconds

    def advance(self, until: float) -> None:
        """Advance to a later moment.

        Raises:
            ValueError: the moment has passed.
        """
        if until < self._seconds:
            raise ValueError(f"a clock goes forward, got {until} s at {self._seconds} s")
        self._seconds = until
