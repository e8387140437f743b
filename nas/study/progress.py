"""Progress of a search, for the observers that show or track it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.objectives.pareto import Axis
from nas.study.trial import Record


@dataclass(frozen=True)
class Running:
    """A running job.

    Attributes:
        trial: number of its trial.
        epoch: epochs trained so far.
        to_epoch: last epoch of the job.
        summary: the architecture in one line.
    """

    trial: int
    epoch: int
    to_epoch: int
    summary: str


@dataclass(frozen=True)
class Progress:
    """Progress of a search at one moment.

    Attributes:
        counts: trials by state (`complete`, `pruned`, `failed`, `running`, `frozen`), `repeats`, and asks that led to
            no trial (`rejected`, `duplicates`).
        trials: budget in trials and those trained elsewhere, None for none.
        front: the complete trials that no other dominates.
        axes: the objectives.
        hypervolume: hypervolume of the front in the unit box of the axes, in [0, 1].
        running: the running jobs.
        training_seconds: training seconds of all trials.
        clock_seconds: seconds of the search's clock, earlier runs included.
        seconds_left: estimated seconds until the budget is used up, None while unknown.
    """

    counts: Mapping[str, int]
    trials: int | None
    front: Sequence[Record]
    axes: Sequence[Axis]
    hypervolume: float
    running: Sequence[Running]
    training_seconds: float
    clock_seconds: float
    seconds_left: float | None


class Observer(Protocol):
    """Shows or tracks a search; the driver calls it, so its methods must return quickly."""

    def on_progress(self, progress: Progress) -> None:
        """Show the progress; called about twice a second."""
        ...

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Show a trial that has ended."""
        ...

    def on_end(self, progress: Progress, reason: str) -> None:
        """Show the end of the search; called once.

        Args:
            progress: the progress at the end.
            reason: an `EndReason`, or the text of an error.
        """
        ...
