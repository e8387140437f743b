"""Terminal under a display that is redrawn in place: what is typed must not be written into it."""

from __future__ import annotations

import atexit
import os
import sys
import termios
from contextlib import suppress
from typing import Any, final


@final
class Silence:
    """Echo of the keys, `^C` among them, switched off for a while.

    An echoed key moves the cursor, from which the display counts the lines to overwrite.
    """

    def __init__(self) -> None:
        self._before: tuple[int, list[Any]] | None = None

    def begin(self) -> None:
        """Switch the echo off, if standard input is the terminal of this process in the foreground."""
        with suppress(OSError, ValueError, termios.error, AttributeError):
            number = sys.stdin.fileno()
            if not os.isatty(number) or os.tcgetpgrp(number) != os.getpgrp():  # a background process would be stopped
                return
            before = termios.tcgetattr(number)
            silent = [*before[:3], before[3] & ~(termios.ECHO | termios.ECHONL), *before[4:]]
            termios.tcsetattr(number, termios.TCSADRAIN, silent)
            self._before = (number, before)
            atexit.register(self.end)

    def end(self) -> None:
        """Switch the echo on again."""
        if self._before is not None:
            (number, before), self._before = self._before, None
            atexit.unregister(self.end)
            with suppress(OSError, termios.error):
                termios.tcsetattr(number, termios.TCSADRAIN, before)
