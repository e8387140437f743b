"""Ctrl-C while a command loads what it needs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from nas.cli import main
from nas.cli.common.signals import stop_on_signals
from nas.jobs import EndReason


@pytest.fixture(autouse=True)
def usual_interrupts() -> Iterator[None]:
    """Handle SIGINT as a fresh interpreter does: a library that an earlier test used may have taken it over."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)  # None: set from C


def test_an_interrupt_that_a_library_swallows_still_stops_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    stops: list[tuple[str, bool]] = []

    class Running:
        def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
            stops.append((str(reason), at_once))

    def swallowing(*_: object) -> int:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        with stop_on_signals(Running()):
            return 0

    monkeypatch.setattr("nas.cli.app.application.run", swallowing)
    assert main(["front", "study=s"]) == 130
    assert stops == [("interrupted", True)]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr("nas.cli.app.application.run", lambda *_: 0)
    assert main(["front", "study=s"]) == 0
