"""What time it is, for a driver that may live by a simulated clock."""

from __future__ import annotations

import time
from typing import Protocol, final


class Clock(Protocol):
    """Tells seconds since some moment; never goes back."""

    def now(self) -> float:
        """Seconds now."""
        ...


@final
class WallClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds since the machine's start or another fixed moment."""
        return time.monotonic()
