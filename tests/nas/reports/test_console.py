"""Progress of a search: short numbers, lines for a log, a display for a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pyte
import pytest
from engine import AXES, TWO, candidate, curve
from rich.console import Console

from nas.jobs import Failure
from nas.reports.console import LineObserver, LiveObserver, headline, observer_for
from nas.reports.text import clock_text, short_number
from nas.study.progress import Progress, Running
from nas.study.training_state import TrainingState
from nas.study.trial import Record

AXES_TWO = tuple(AXES[name] for name in TWO)


def record(number: int = 3, **changes: Any) -> Record:
    values = {"val_accuracy": 0.875, "macs": 123456.0}
    return replace(Record(number, "complete", candidate(number), curve(2), TrainingState(), values, None), **changes)


def progress(**changes: Any) -> Progress:
    counts = {
        "complete": 3,
        "pruned": 1,
        "failed": 0,
        "running": 1,
        "frozen": 0,
        "rejected": 12,
        "duplicates": 0,
    }
    plain: dict[str, Any] = {
        "counts": counts,
        "trials": 40,
        "front": [record()],
        "axes": AXES_TWO,
        "hypervolume": 0.61803,
        "running": [Running(7, 2, 12, "3:8 [5s:16]")],
        "training_seconds": 30.0,
        "clock_seconds": 75.9,
        "seconds_left": 3605.0,
    }
    return Progress(**plain | changes)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def page(written: str, columns: int, lines: int) -> list[str]:
    """What a terminal of that size shows after these characters."""
    emulated = pyte.Screen(columns, lines)
    pyte.Stream(emulated).feed(written.replace("\n", "\r\n"))
    return [line.rstrip() for line in emulated.display]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0000"),
        (0.5, "0.5000"),
        (0.99996, "1.0000"),
        (1, "1"),
        (42, "42"),
        (999.4, "999.4"),
        (1000, "1k"),
        (123456, "123k"),
        (1234567, "1.23M"),
        (9.87e9, "9.87G"),
        (-1500, "-1.5k"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize(
    "value", [999.6e3, 999.96, 999_999_999.0], ids=["just below a million", "below a thousand", "below a billion"]
)
def test_a_number_that_rounds_up_to_the_next_unit_is_not_written_in_powers(value: float) -> None:
    assert "e" not in short_number(value)


@pytest.mark.parametrize(("seconds", "text"), [(None, "?"), (0, "0:00"), (59.9, "0:59"), (60, "1:00"), (3605, "60:05")])
def test_clock(seconds: float | None, text: str) -> None:
    assert clock_text(seconds) == text


def test_the_headline_counts_what_there_is() -> None:
    assert headline(progress()) == (
        "trials 4/40 · pruned 1 · rejected 12 · front 1 · hypervolume 0.618 · 1:15 spent, 60:05 left"
    )
    empty = dict.fromkeys(progress().counts, 0)
    bare = progress(counts=empty, trials=None, front=[], hypervolume=0.0, seconds_left=None)
    assert headline(bare) == "trials 0 · front 0 · hypervolume 0.000 · 1:15 spent, ? left"


def test_a_log_gets_a_line_a_trial_and_one_at_the_end() -> None:
    stream = io.StringIO()
    observer = observer_for(stream)
    assert isinstance(observer, LineObserver)
    for clock in (0.0, 10.0, 59.9):
        observer.on_progress(progress(clock_seconds=clock))
    assert stream.getvalue().count("\n") == 1
    observer.on_progress(progress(clock_seconds=61.0))
    first, life = stream.getvalue().splitlines()
    assert first.startswith("search starts | trials 4/40")
    assert life.startswith("training trial 7 epoch 2/12 | trials 4/40")
    stream.seek(stream.truncate(0))
    observer.on_trial(record(), progress())
    failed = record(4, state="failed", values=None, failure=Failure("nan", "[red]no number[/red] " + "x" * 200))
    observer.on_trial(failed, progress())
    observer.on_trial(record(5, state="pruned", values=None), progress())
    observer.on_end(progress(), "budget")
    observer.on_end(progress(), "10 trials in a row failed")
    head = headline(progress())
    assert stream.getvalue().splitlines() == [
        f"trial 3 complete in 2.0 s: val_accuracy 0.8750, macs 123k | {head}",
        f"trial 4 failed (nan): [red]no number[/red] {'x' * 200} | {head}",
        f"trial 5 pruned | {head}",
        f"search ended, the budget is used up | {head}",
        f"search ended, 10 trials in a row failed | {head}",
    ]


def test_a_terminal_gets_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(observer_for(Terminal()), LiveObserver)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(observer_for(Terminal()), LineObserver)


def test_the_display_is_redrawn_in_place_and_begun_anew_after_a_resize() -> None:
    stream = Terminal()
    console = Console(file=stream, force_terminal=True, width=90, height=20, legacy_windows=False)
    observer = LiveObserver(console)
    for share in (0.1, 0.25):
        observer.on_progress(progress(share_done=share))
    shown = page(stream.getvalue(), 90, 20)
    assert [line for line in shown if "%" in line] == [shown[0]]
    assert "25%" in shown[0]
    observer.on_trial(record(9, state="failed", values=None, failure=Failure("died", "gone")), progress())
    shown = page(stream.getvalue(), 90, 20)
    assert shown[0] == "trial 9 failed (died): gone"
    assert "25%" in shown[1]
    before = len(stream.getvalue())
    console.size = (60, 12)  # type: ignore[assignment]  # a pair is taken
    observer.on_progress(progress(share_done=0.3))
    shown = page(stream.getvalue()[before:], 60, 12)
    assert "30%" in shown[0]
    assert shown[-1] == ""
    observer.on_end(progress(), "interrupted")
    ended = stream.getvalue()
    assert "Search ended, interrupted · trials 4/40" in ended
    assert ended.rindex("\x1b[?25h") > ended.rindex("\x1b[?25l")  # the cursor is back
    assert not any("slot" in line for line in page(ended[before:], 60, 12))


def test_the_display_needs_no_trial() -> None:
    stream = Terminal()
    observer = LiveObserver(Console(file=stream, force_terminal=True, width=100))
    observer.on_end(progress(front=[], running=[]), "exhausted")
    assert "the sampler finds no new architecture" in stream.getvalue()
