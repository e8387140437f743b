"""Line on a terminal while a command loads what it needs, which is erased before anything else is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ERASE = "\r\x1b[2K"

_shown = False


@contextmanager
def showing(text: str) -> Iterator[None]:
    """Show a text until the end of the block, or until `erase` is called; show nothing where there is no terminal."""
    global _shown  # noqa: PLW0603 - a process has one screen
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()
            _shown = True
    try:
        yield
    finally:
        erase()


def erase() -> None:
    """Erase the text that is shown."""
    global _shown  # noqa: PLW0603 - as above
    if _shown:
        _shown = False
        with suppress(OSError):
            sys.stderr.write(ERASE)
            sys.stderr.flush()
