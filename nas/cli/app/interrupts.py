"""Memory of Ctrl-C, which a library may swallow while a command loads what it needs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_seen = False


@contextmanager
def remembered() -> Iterator[None]:
    """Remember Ctrl-C in the block, beside raising KeyboardInterrupt, unless the program handles it in its own way."""
    global _seen  # noqa: PLW0603 - signals are of the process
    _seen = False
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def was_interrupted() -> bool:
    """Return whether Ctrl-C was pressed since the command began, before it took signals over."""
    return _seen


def _raise(*_: object) -> None:
    global _seen  # noqa: PLW0603 - as above
    _seen = True
    raise KeyboardInterrupt
