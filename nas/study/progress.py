"""How a search stands, as whoever shows or tracks it sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.objectives.pareto import Axis
from nas.study.trial import Record


@dataclass(frozen=True)
class Running:
    """A job that runs now.

    Attributes:
        trial: number of its trial.
        epoch: epochs trained so far.
        to_epoch: where the job ends.
        summary: the architecture in one line.
    """

    trial: int
    epoch: int
    to_epoch: int
    summary: str


@dataclass(frozen=True)
class Progress:
    """A search at one moment.

    Attributes:
        counts: trials by state (`complete`, `pruned`, `failed`, `running`, `frozen`), and asks that led to none
            (`rejected`, `duplicates`).
        trials: the budget in trials, None for none.
        front: the complete trials that no other dominates.
        axes: the objectives.
        hypervolume: share of the objective space that the front covers, in [0, 1].
        running: the jobs that run now.
        training_seconds: seconds of training over all trials.
        clock_seconds: seconds that the search has been running, earlier runs included.
        seconds_left: estimate until the budget is used up, None while unknown.
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
    """Shows or tracks a search; the driver calls it, and it must not hold the driver up."""

    def on_progress(self, progress: Progress) -> None:
        """Called about twice a second."""
        ...

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Called when a trial has ended, with its final record."""
        ...

    def on_end(self, progress: Progress, reason: str) -> None:
        """Called once, when the search ends."""
        ...
