"""Progress of a search, for the observers that show or track it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.jobs import Curve
from nas.objectives.pareto import Axis
from nas.study.trial import Candidate, Record


@dataclass(frozen=True)
class Running:
    """A running job.

    Attributes:
        trial: number of its trial.
        epoch: epochs trained so far.
        to_epoch: last epoch of the job.
        summary: the architecture in one line.
        epochs: last epoch of a full training, 0 if it is not known.
        slot: number of its first slot, from 0.
        curve: learning curve of the training so far.
        candidate: its architecture, with everything that is known before training; None if it is not known.
    """

    trial: int
    epoch: int
    to_epoch: int
    summary: str
    epochs: int = 0
    slot: int = 0
    curve: Curve = ()
    candidate: Candidate | None = None


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
        share_done: share of the budget that is used up, in [0, 1]; None while unknown.
        best: the member of the front with the best first objective, None for an empty front.
        knee: its member with the largest distance from the plane through its ends, see `pick=knee`.
        history: hypervolume after each of the complete trials, in order of their ends.
        stopping: whether no further job starts, and the running ones end after their epoch.
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
    share_done: float | None = None
    best: Record | None = None
    knee: Record | None = None
    history: Sequence[float] = ()
    stopping: bool = False


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
