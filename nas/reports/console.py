"""Progress of a search: a live display on a terminal, one line for each trial elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO, final

from rich.console import Console
from rich.text import Text

from nas.jobs import EndReason
from nas.reports.live_screen import LiveScreen
from nas.reports.measures import title
from nas.reports.screen import screen, values_text
from nas.reports.text import clock_text
from nas.study.progress import Observer, Progress
from nas.study.trial import Record

ENDINGS: Mapping[str, str] = {
    EndReason.BUDGET: "the budget is used up",
    EndReason.MINUTES: "the time is up",
    EndReason.CONVERGED: "more training gains too little",
    EndReason.EXHAUSTED: "the sampler finds no new architecture",
    EndReason.INTERRUPTED: "interrupted",
    EndReason.TERMINATED: "terminated",
    EndReason.STOPPED: "stopped on request",
}

QUIET_SECONDS = 60.0
"""Seconds without an ended trial after which a log gets a line all the same."""


def observer_for(stream: TextIO) -> Observer:
    """Return the live display for a terminal, lines for any other stream."""
    console = Console(file=stream, markup=False)
    return LiveObserver(console) if console.is_terminal and not console.is_dumb_terminal else LineObserver(console)


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


@final
class LineObserver:
    """Observer that prints a line for every ended trial, for logs and pipes, and a sign of life between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: float | None = None

    def on_progress(self, progress: Progress) -> None:
        """Print a line at the start, and after a minute without one."""
        if self._said is None:
            self._print(f"search starts | {headline(progress)}", progress)
        elif progress.clock_seconds - self._said >= QUIET_SECONDS:
            jobs = [f"trial {job.trial} epoch {job.epoch}/{job.to_epoch}" for job in progress.running]
            self._print(f"training {', '.join(jobs) or 'nothing'} | {headline(progress)}", progress)

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Print the trial's state and values in one line."""
        self._print(f"trial {record.number} {outcome_text(record, progress)} | {headline(progress)}", progress)

    def on_end(self, progress: Progress, reason: str) -> None:
        """Print in one line why the search ended."""
        self._print(f"search ended, {ENDINGS.get(reason, reason)} | {headline(progress)}", progress)

    def _print(self, line: str, progress: Progress) -> None:
        self._said = progress.clock_seconds
        self._console.print(Text(line), soft_wrap=True)


@final
class LiveObserver:
    """Observer that redraws counts, time left, the running jobs and the front in place, at the terminal's size."""

    def __init__(self, console: Console) -> None:
        self._plain = console.options.ascii_only
        self._screen = LiveScreen(console)

    def on_progress(self, progress: Progress) -> None:
        """Redraw the display."""
        self._screen.draw(
            lambda width, height: screen(progress, width, height, plain=self._plain), progress.clock_seconds
        )

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Print a failure above the display, which shows the other trials."""
        if record.failure:
            self._screen.print(f"trial {record.number} {outcome_text(record, progress)}", style="yellow")

    def on_end(self, progress: Progress, reason: str) -> None:
        """Remove the display and print why the search ended."""
        self._screen.end()
        self._screen.print(f"Search ended, {ENDINGS.get(reason, reason)} · {headline(progress)}", soft_wrap=False)


def outcome_text(record: Record, progress: Progress) -> str:
    """Return the state of an ended trial, with its values or the reason of its failure, in one line."""
    if record.failure:
        return f"failed ({record.failure.kind}): {record.failure.message}"
    if record.values is None:
        return record.state
    names = ", ".join(map(title, record.candidate.extrapolated))
    outside = f", {names} outside the fitted range" if names else ""
    return f"{record.state} in {record.seconds:.1f} s: {values_text(record.values, list(progress.axes))}{outside}"
