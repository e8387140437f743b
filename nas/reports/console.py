"""A search on the terminal: a live picture where there is one, a log line a trial where there is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO, final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.jobs import EndReason
from nas.objectives.pareto import Axis
from nas.study.progress import Observer, Progress
from nas.study.trial import Record

FRONT_ROWS = 16
ENDINGS: Mapping[str, str] = {
    EndReason.BUDGET: "the budget is used up",
    EndReason.MINUTES: "the time is up",
    EndReason.EXHAUSTED: "nothing new is found any more",
    EndReason.INTERRUPTED: "interrupted",
    EndReason.TERMINATED: "terminated",
    EndReason.STOPPED: "somebody asked it to",
}


def observer_for(stream: TextIO) -> Observer:
    """The live picture on a terminal, log lines on any other stream."""
    console = Console(file=stream)
    return LiveObserver(console) if console.is_terminal else LineObserver(console)


def short(value: float) -> str:
    """A number in few characters: 3 digits and k, M or G from a thousand on, 4 digits below one.

    >>> short(1234567), short(0.91234), short(42)
    ('1.23M', '0.9123', '42')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(float(f"{value:.3g}")) >= size:  # what rounds up to a thousand takes the next unit
            return f"{value / size:.3g}{unit}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.4g}"


def clock(seconds: float | None) -> str:
    """Minutes and seconds.

    >>> clock(75), clock(None)
    ('1:15', '?')
    """
    return "?" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def headline(progress: Progress) -> str:
    """Counts, hypervolume and times in one line."""
    counts = progress.counts
    done = counts["complete"] + counts["pruned"]
    words = [f"trials {done}" + (f"/{progress.trials}" if progress.trials else "")]
    words += [
        f"{name} {counts[name]}"
        for name in ("pruned", "repeats", "failed", "rejected", "duplicates")
        if counts.get(name)
    ]
    words.append(f"front {len(progress.front)}")
    words.append(f"hypervolume {progress.hypervolume:.3f}")
    words.append(f"{clock(progress.clock_seconds)} spent, {clock(progress.seconds_left)} left")
    return " · ".join(words)


def values_text(values: Mapping[str, float], axes: tuple[Axis, ...] | list[Axis]) -> str:
    """Objectives by name in one line."""
    return ", ".join(f"{axis.name} {short(values[axis.name])}" for axis in axes)


@final
class LineObserver:
    """A plain line for every trial that ends, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_progress(self, progress: Progress) -> None:
        """Nothing: a log has no picture to keep up to date."""

    def on_trial(self, record: Record, progress: Progress) -> None:
        """One line with what came of the trial."""
        self._print(f"trial {record.number} {_outcome(record, progress)} | {headline(progress)}")

    def on_end(self, progress: Progress, reason: str) -> None:
        """One line with why the search ended."""
        self._print(f"search ended, {ENDINGS.get(reason, reason)} | {headline(progress)}")

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


@final
class LiveObserver:
    """The front so far, what runs now, counts and time left, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def on_progress(self, progress: Progress) -> None:
        """Redraw."""
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(_picture(progress), refresh=True)

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Say above the picture what failed; what went well shows in it."""
        if record.failure:
            self._console.print(Text(f"trial {record.number} {_outcome(record, progress)}", style="yellow"))
        self.on_progress(progress)

    def on_end(self, progress: Progress, reason: str) -> None:
        """Take the picture away and leave one line."""
        if self._live is not None:
            self._live.stop()
        self._console.print(Text(f"Search ended, {ENDINGS.get(reason, reason)} · {headline(progress)}"))


def _outcome(record: Record, progress: Progress) -> str:
    if record.failure:
        return f"failed ({record.failure.kind}): {record.failure.message}"
    if record.values is None:
        return record.state
    return f"{record.state} in {record.seconds:.1f} s: {values_text(record.values, list(progress.axes))}"


def _picture(progress: Progress) -> Group:
    table = Table(title="Pareto front so far", title_justify="left", expand=False)
    table.add_column("trial", justify="right")
    for axis in progress.axes:
        table.add_column(axis.name, justify="right")
    table.add_column("architecture", overflow="fold")
    shown = progress.front[:FRONT_ROWS]
    for record in shown:
        values = record.values or {}
        numbers = [short(values[axis.name]) for axis in progress.axes]
        table.add_row(str(record.number), *numbers, Text(record.candidate.summary))
    lines = [Text(headline(progress))]
    if len(progress.front) > len(shown):
        lines.append(Text(f"… and {len(progress.front) - len(shown)} more on the front"))
    lines += [Text(f"trial {r.trial}: epoch {r.epoch}/{r.to_epoch}  {r.summary}") for r in progress.running]
    return Group(table, *lines)
