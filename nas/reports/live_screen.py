"""Lines on a terminal that are redrawn in place, at the size that the terminal has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from nas.jobs.notice import erase
from nas.reports.terminal import Silence

SETTLING_SECONDS, SETTLING_REDRAWS = 3.0, 4
"""Seconds, and redraws at least, after a change of the terminal's size, that begin on an empty screen.

A terminal may tell the new size before its own lines have it, and would then pull lines of the old display back.
"""

Lines = Callable[[int, int], Sequence[Text]]
"""Returns the lines for a width in cells and a height in lines."""


@final
class LiveScreen:
    """Lines that are redrawn in place; what is printed meanwhile stands above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._silence = Silence()
        self._size = (0, 0)
        self._settled, self._unsettled = 0.0, 0

    def draw(self, lines: Lines, clock: float) -> None:
        """Redraw the lines.

        Args:
            lines: the lines.
            clock: present time in seconds, of any clock.
        """
        size = self._console.size
        if self._live is None:
            erase()
            self._silence.begin()
            self._start()
        elif size != self._size or self._unsettled or clock < self._settled:
            # The terminal may have broken the old lines anew, or may still do so: begin on an empty screen.
            if size != self._size:
                self._settled, self._unsettled = clock + SETTLING_SECONDS, SETTLING_REDRAWS
            self._unsettled = max(0, self._unsettled - 1)
            self._live.stop()
            self._console.clear()
            self._start()
        self._size = size
        assert self._live is not None
        self._live.update(Group(*lines(size.width, size.height - 1)), refresh=True)

    def print(self, text: str, style: str = "", *, soft_wrap: bool = True) -> None:
        """Print a line above the others; with `soft_wrap` the terminal breaks it where it is too long."""
        self._console.print(Text(text, style=style), soft_wrap=soft_wrap)

    def end(self) -> None:
        """Remove the lines."""
        if self._live is not None:
            self._live.stop()
        self._silence.end()

    def _start(self) -> None:
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()
