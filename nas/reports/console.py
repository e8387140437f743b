"""Progress of a search: a live display on a terminal, one line for each trial elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO, final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.jobs import EndReason
from nas.objectives.pareto import Axis
from nas.reports.text import clock_text, short_number
from nas.study.progress import Observer, Progress
from nas.study.trial import Record

FRONT_ROWS = 16
ENDINGS: Mapping[str, str] = {
    EndReason.BUDGET: "the budget is used up",
    EndReason.MINUTES: "the time is up",
    EndReason.CONVERGED: "more training gains too little",
    EndReason.EXHAUSTED: "the sampler finds no new architecture",
    EndReason.INTERRUPTED: "interrupted",
    EndReason.TERMINATED: "terminated",
    EndReason.STOPPED: "stopped on request",
}


def observer_for(stream: TextIO) -> Observer:
    """Return the live display for a terminal, lines for any other stream."""
    console = Console(file=stream, markup=False)
    return LiveObserver(console) if console.is_terminal else LineObserver(console)


def headline(progress: Progress) -> str:
    """Return counts, hypervolume and times in one line."""
    counts = progress.counts
    done = counts["complete"] + counts["pruned"]
    parts = [f"trials {done}" + (f"/{progress.trials}" if progress.trials else "")]
    parts += [
        f"{name} {counts[name]}"
        for name in ("pruned", "repeats", "failed", "rejected", "duplicates")
        if counts.get(name)
    ]
    parts.append(f"front {len(progress.front)}")
    parts.append(f"hypervolume {progress.hypervolume:.3f}")
    parts.append(f"{clock_text(progress.clock_seconds)} spent, {clock_text(progress.seconds_left)} left")
    return " · ".join(parts)


def values_text(values: Mapping[str, float], axes: tuple[Axis, ...] | list[Axis]) -> str:
    """Return the names and values of the objectives in one line."""
    return ", ".join(f"{axis.name} {short_number(values[axis.name])}" for axis in axes)


@final
class LineObserver:
    """Observer that prints a line for every ended trial, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_progress(self, progress: Progress) -> None:
        """Do nothing: a log is not redrawn."""

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Print the trial's state and values in one line."""
        self._print(f"trial {record.number} {_outcome(record, progress)} | {headline(progress)}")

    def on_end(self, progress: Progress, reason: str) -> None:
        """Print in one line why the search ended."""
        self._print(f"search ended, {ENDINGS.get(reason, reason)} | {headline(progress)}")

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


@final
class LiveObserver:
    """Observer that redraws the front, the running jobs, counts and time left in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def on_progress(self, progress: Progress) -> None:
        """Redraw the display."""
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(_display(progress), refresh=True)

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Print a failure above the display, which shows the other trials, and redraw."""
        if record.failure:
            self._console.print(Text(f"trial {record.number} {_outcome(record, progress)}", style="yellow"))
        self.on_progress(progress)

    def on_end(self, progress: Progress, reason: str) -> None:
        """Remove the display and print why the search ended."""
        if self._live is not None:
            self._live.stop()
        self._console.print(Text(f"Search ended, {ENDINGS.get(reason, reason)} · {headline(progress)}"))


def _outcome(record: Record, progress: Progress) -> str:
    if record.failure:
        return f"failed ({record.failure.kind}): {record.failure.message}"
    if record.values is None:
        return record.state
    return f"{record.state} in {record.seconds:.1f} s: {values_text(record.values, list(progress.axes))}"


def _display(progress: Progress) -> Group:
    table = Table(title="Pareto front so far", title_justify="left", expand=False)
    table.add_column("trial", justify="right")
    for axis in progress.axes:
        table.add_column(axis.name, justify="right")
    table.add_column("architecture", overflow="fold")
    shown = progress.front[:FRONT_ROWS]
    for record in shown:
        values = record.values or {}
        numbers = [short_number(values[axis.name]) for axis in progress.axes]
        table.add_row(str(record.number), *numbers, Text(record.candidate.summary))
    lines = [Text(headline(progress))]
    if len(progress.front) > len(shown):
        lines.append(Text(f"… and {len(progress.front) - len(shown)} more on the front"))
    lines += [Text(f"trial {r.trial}: epoch {r.epoch}/{r.to_epoch}  {r.summary}") for r in progress.running]
    return Group(table, *lines)
