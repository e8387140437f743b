"""What Ctrl-C and SIGTERM mean to a command that runs for long."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from nas.jobs import EndReason

CODES: Mapping[str, int] = {EndReason.INTERRUPTED: 130, EndReason.TERMINATED: 143}
"""Exit codes by the reason that `stop` was given."""


class Stoppable(Protocol):
    """Something that can be ended in order."""

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        """End in order, or `at_once`."""
        ...


@contextmanager
def obeying_signals(running: Stoppable) -> Iterator[None]:
    """Ctrl-C or SIGTERM ends `running` in order; a second one at once."""
    names = {signal.SIGINT: EndReason.INTERRUPTED, signal.SIGTERM: EndReason.TERMINATED}
    seen: list[int] = []

    def obey(number: int, _: object) -> None:
        seen.append(number)
        running.stop(names[signal.Signals(number)], at_once=len(seen) > 1)

    before = {number: signal.signal(number, obey) for number in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
