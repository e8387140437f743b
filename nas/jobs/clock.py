"""Clocks of a driver: the machine's own, or a simulated one."""

from __future__ import annotations

import time
from typing import Protocol, final


class Clock(Protocol):
    """Monotonic clock."""

    def now(self) -> float:
        """Return the seconds since a fixed moment."""
        ...


@final
class WallClock:
    """Monotonic clock of the machine."""

    def now(self) -> float:
        """Return the seconds since a fixed moment, such as the machine's start."""
        return time.monotonic()
