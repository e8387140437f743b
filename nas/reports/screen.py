"""Screen of a running search: lines for a terminal of any size, the most important first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len
from rich.text import Text

from nas.jobs import validated_part
from nas.objectives.pareto import Axis
from nas.reports.text import FROZEN_LEGEND, SUMMARY_LEGEND, clock_text, short_number
from nas.study.progress import Progress, Running
from nas.study.trial import Record

SPARKS = "▁▂▃▄▅▆▇█"
MOST_SPARKS = 60
BAR = 24
JOB_BAR = 10
FRONT_LINES = 4
"""Lines that the front gets at least, where a slot has a line too: its title, its heading and two networks."""

STOPPING = "stopping after the running epochs; Ctrl-C once more stops at once, and loses them"


def screen(progress: Progress, width: int, height: int, *, plain: bool = False) -> list[Text]:
    """Return at most `height` lines of at most `width` cells.

    Args:
        progress: progress of the search.
        width: cells of a line, at least 1.
        height: number of lines, at least 1.
        plain: whether the terminal shows ASCII alone.
    """
    layout = _Layout(progress, width, plain)
    head = [*layout.head]
    jobs = layout.jobs(max(1, height - len(head) - FRONT_LINES))
    front = layout.front(height - len(head) - len(jobs))
    lines = [*head, *jobs, *front]
    legend = layout.legend
    if len(lines) + len(legend) < height:
        lines += legend
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis" if not plain else "crop")
    return lines[:height]


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a line of at most `width` blocks whose heights are the values, from 0 or the least to the largest.

    >>> sparkline([0.0, 0.5, 1.0], 10)
    '▁▅█'
    """
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    chosen = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    least, most = min(chosen), max(chosen)
    reach = (most - least) or 1.0
    return "".join(SPARKS[min(len(SPARKS) - 1, int((value - least) / reach * len(SPARKS)))] for value in chosen)


def best_first(front: Iterable[Record], axes: Sequence[Axis]) -> list[Record]:
    """Return the networks of a front in order of the first objective, best first."""
    axis = axes[0]
    return sorted(front, key=lambda record: axis.loss((record.values or {})[axis.name]))


def counts_text(progress: Progress) -> str:
    """Return the number of trials against the budget's, in words."""
    counts = progress.counts
    done = counts["complete"] + counts["pruned"]
    return f"{done}/{progress.trials} trials" if progress.trials else f"{done} trials"


def values_text(values: Mapping[str, float], axes: Sequence[Axis]) -> str:
    """Return the names and values of the objectives in one line."""
    return ", ".join(f"{axis.name} {short_number(values[axis.name])}" for axis in axes)


@dataclass(frozen=True)
class _Layout:
    """Parts of the screen.

    Attributes:
        progress: progress of the search.
        width: cells of a line.
        plain: whether the terminal shows ASCII alone.
    """

    progress: Progress
    width: int
    plain: bool

    @cached_property
    def head(self) -> list[Text]:
        """Bar with percentage, counts and time left; other counts; best, knee and hypervolume."""
        progress, counts = self.progress, self.progress.counts
        left = "time left ?" if progress.seconds_left is None else f"{clock_text(progress.seconds_left)} left"
        facts = f"{counts_text(progress)} · {left}"
        share = progress.share_done
        percent = "" if share is None else f" {share:4.0%} "
        room = max(0, min(BAR, self.width - cell_len(facts) - len(percent) - 1))
        top = Text() if share is None else self._bar(share, room).append(percent, style="bold")
        names = ("running", "frozen", "pruned", "repeats", "failed", "rejected", "duplicates")
        others = [f"front {len(progress.front)}", *(f"{name} {counts[name]}" for name in names if counts.get(name))]
        spent = f"{clock_text(progress.clock_seconds)} spent"
        lines = [top.append(facts), Text(" · ".join([spent, *others]))]
        if progress.stopping:
            lines.append(Text(STOPPING, style="yellow"))
        if progress.best is not None and progress.knee is not None:
            lines += [self._network("best", progress.best), self._network("knee", progress.knee)]
        return [*lines, self._hypervolume()]

    def _network(self, name: str, record: Record) -> Text:
        values = values_text(record.values or {}, list(self.progress.axes))
        line = Text(f"{name}  ", style="bold green")
        return line.append(f"trial {record.number}: {values}  {record.candidate.summary}", style="default not bold")

    def _hypervolume(self) -> Text:
        text = f"hypervolume {self.progress.hypervolume:.3f} "
        line = Text(text)
        if not self.plain and len(self.progress.history) > 1:
            line.append(sparkline(self.progress.history, min(MOST_SPARKS, self.width - len(text))), style="cyan")
        return line

    def jobs(self, most: int) -> list[Text]:
        """Return a line for each running job, at most `most`."""
        running = sorted(self.progress.running, key=lambda job: (job.slot, job.trial))
        if not running:
            return [] if self.progress.stopping else [Text("starting: drawing the first network …", style="yellow")]
        shown = running if len(running) <= most else running[: max(0, most - 1)]
        digits = len(str(max(job.slot for job in running)))
        lines = [self._job(job, digits) for job in shown]
        if len(shown) < len(running):
            lines.append(Text(f"… and {len(running) - len(shown)} more slots"))
        return lines

    def _job(self, job: Running, digits: int) -> Text:
        line = Text(f"slot {job.slot:>{digits}}  trial {job.trial}  ")
        line.append(self._bar(job.epoch / max(1, job.epochs or job.to_epoch), JOB_BAR))
        whole = f" of {job.epochs}" if job.epochs > job.to_epoch else ""
        line.append(f"  epoch {job.epoch}/{job.to_epoch}{whole}")
        measured = validated_part(job.curve)
        if measured and measured[-1].val_accuracy is not None:
            line.append(f"  accuracy {measured[-1].val_accuracy:.4f}")
        elif job.epoch == 0:
            line.append("  starting …", style="yellow")
        return line.append(f"  {job.summary}", style="dim")

    def front(self, most: int) -> list[Text]:
        """Return the front as a table of at most `most` lines, best network first."""
        members = best_first(self.progress.front, self.progress.axes)
        if not members or most < 3:
            return []
        shown = members[: most - 2]
        if len(shown) < len(members):
            shown = shown[:-1] if len(shown) > 1 else shown
        title = "Pareto front so far, best first"
        more = len(members) - len(shown)
        names = ["trial", *(axis.name for axis in self.progress.axes)]
        rows = [self._cells(record) for record in shown]
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        lines = [Text(title, style="italic"), Text(_joined([*names], widths) + "  network", style="bold")]
        for record, row in zip(shown, rows, strict=True):
            lines.append(Text(f"{_joined(row, widths)}  {record.candidate.summary}"))
        return [*lines, Text(f"… and {more} more")] if more and len(lines) < most else lines

    def _cells(self, record: Record) -> list[str]:
        values = record.values or {}
        return [str(record.number), *(short_number(values[axis.name]) for axis in self.progress.axes)]

    @cached_property
    def legend(self) -> list[Text]:
        """Legend of the words on the screen, after an empty line."""
        words = f"{SUMMARY_LEGEND} {FROZEN_LEGEND}" if self.progress.counts.get("frozen") else SUMMARY_LEGEND
        return [Text(), *(Text(line, style="dim") for line in textwrap.wrap(words, self.width))]

    def _bar(self, share: float, width: int) -> Text:
        return bar(share, width, plain=self.plain)


def bar(share: float, width: int, *, plain: bool = False) -> Text:
    """Return a bar of `width` cells, filled to a share; `plain` for a terminal that shows ASCII alone."""
    filled = round(min(1.0, max(0.0, share)) * width)
    signs = "#-" if plain else "━─"
    return Text(signs[0] * filled, style="green").append(signs[1] * (width - filled), style="bright_black")


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
