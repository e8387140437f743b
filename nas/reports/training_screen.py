"""Progress of a list of trainings on a terminal: share done, time left, and a line for each running one."""

from __future__ import annotations

from typing import TextIO, final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from nas.jobs import validated_part
from nas.reports.live_screen import LiveScreen
from nas.reports.screen import BAR, JOB_BAR, STOPPING, bar, sparkline
from nas.reports.text import clock_text
from nas.study.list_progress import ListObserver, ListProgress, RunningTraining

SPARKS = 12


def list_observer_for(stream: TextIO) -> ListObserver | None:
    """Return the live display for a terminal; None for any other stream, where the trainings are logged."""
    console = Console(file=stream, markup=False)
    return LiveTrainings(console) if console.is_terminal and not console.is_dumb_terminal else None


def training_screen(progress: ListProgress, width: int, height: int, *, plain: bool = False) -> list[Text]:
    """Return at most `height` lines of at most `width` cells.

    Args:
        progress: progress of the list.
        width: cells of a line, at least 1.
        height: number of lines, at least 1.
        plain: whether the terminal shows ASCII alone.
    """
    lines = [_head(progress, width, plain)]
    if progress.stopping:
        lines.append(Text(STOPPING, style="yellow"))
    running = sorted(progress.running, key=lambda each: (each.slot, each.label))
    room = max(0, height - len(lines))
    shown = running if len(running) <= room else running[: max(0, room - 1)]
    lines += [_line(each, plain=plain) for each in shown]
    if not running and not progress.stopping:
        lines.append(Text("starting …", style="yellow"))
    if len(shown) < len(running):
        lines.append(Text(f"… and {len(running) - len(shown)} more trainings"))
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis" if not plain else "crop")
    return lines[:height]


def _head(progress: ListProgress, width: int, plain: bool) -> Text:
    left = "time left ?" if progress.seconds_left is None else f"{clock_text(progress.seconds_left)} left"
    failed = f" · failed {progress.failed}" if progress.failed else ""
    spent = f"{clock_text(progress.clock_seconds)} spent"
    facts = f"{progress.done}/{progress.total} trainings{failed} · {spent} · {left}"
    percent = f" {progress.share_done:4.0%} "
    room = max(0, min(BAR, width - cell_len(facts) - len(percent) - 1))
    return bar(progress.share_done, room, plain=plain).append(percent, style="bold").append(facts)


def _line(each: RunningTraining, *, plain: bool) -> Text:
    line = Text(f"slot {each.slot}  {each.label}  ")
    line.append(bar(each.epoch / max(1, each.epochs), JOB_BAR, plain=plain))
    line.append(f"  epoch {each.epoch}/{each.epochs}")
    measured = validated_part(each.curve)
    accuracies = [row.val_accuracy for row in measured if row.val_accuracy is not None]
    if accuracies:
        line.append(f"  accuracy {accuracies[-1]:.4f}")
    elif each.curve:  # trained on the validation part too
        line.append(f"  training loss {each.curve[-1].train_loss:.4f}")
    if not plain and len(accuracies) > 1:
        line.append(f"  {sparkline(accuracies, SPARKS)}", style="cyan")
    return line


@final
class LiveTrainings:
    """Observer that redraws the progress of a list of trainings in place."""

    def __init__(self, console: Console) -> None:
        self._plain = console.options.ascii_only
        self._screen = LiveScreen(console)

    def on_progress(self, progress: ListProgress) -> None:
        """Redraw the display."""
        self._screen.draw(
            lambda width, height: training_screen(progress, width, height, plain=self._plain), progress.clock_seconds
        )

    def on_end(self, progress: ListProgress) -> None:
        """Remove the display, and say how far the list is."""
        self._screen.end()
        spent = clock_text(progress.clock_seconds)
        self._screen.print(f"{progress.done}/{progress.total} trainings done, {spent} spent")
