"""Handling of Ctrl-C and SIGTERM in long-running commands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from nas.cli.app.interrupts import was_interrupted
from nas.jobs import EndReason

CODES: Mapping[str, int] = {EndReason.INTERRUPTED: 130, EndReason.TERMINATED: 143}
"""Exit codes by the reason passed to `stop`."""


class Stoppable(Protocol):
    """Run that can be stopped."""

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        """Stop once the trainings have finished their epoch, or `at_once`."""
        ...


@contextmanager
def stop_on_signals(running: Stoppable) -> Iterator[None]:
    """Stop `running` on Ctrl-C or SIGTERM, on a second one at once.

    Only the main thread of a program may take signals over. In any other one they stay the program's own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = {signal.SIGINT: EndReason.INTERRUPTED, signal.SIGTERM: EndReason.TERMINATED}
    seen: list[int] = []

    def obey(number: int, _: object) -> None:
        seen.append(number)
        running.stop(names[signal.Signals(number)], at_once=len(seen) > 1)

    before = {number: signal.signal(number, obey) for number in names}
    if was_interrupted():  # before, and swallowed
        running.stop(EndReason.INTERRUPTED, at_once=True)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
