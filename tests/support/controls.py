"""Control of a training that a test lets run to its end."""

from __future__ import annotations

from typing import Any


class Control:
    """Takes every epoch, and never stops."""

    in_step = True

    def epoch_done(self, row: Any) -> None:
        """Take an epoch's row."""

    def should_stop(self) -> bool:
        """Return False."""
        return False
