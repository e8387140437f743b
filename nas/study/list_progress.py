"""Progress of a list of trainings, such as a retraining, for those who show it, with an estimate of the time left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nas.jobs import Curve

MOST_WASTE = 3.0
"""Largest factor between the seconds of a slot and those of training in it that is believed."""


@dataclass(frozen=True)
class RunningTraining:
    """A running training.

    Attributes:
        label: its name, such as `trial 17 seed 0`.
        epoch: epochs trained so far.
        epochs: epochs of the whole training.
        slot: number of its first slot, from 0.
        curve: learning curve of this run so far.
    """

    label: str
    epoch: int
    epochs: int
    slot: int
    curve: Curve = ()


@dataclass(frozen=True)
class ListProgress:
    """Progress of a list of trainings at one moment.

    Attributes:
        done: number of trainings that are done, earlier runs included.
        failed: number of trainings that were given up.
        total: number of trainings.
        share_done: share of all epochs that are trained, in [0, 1].
        running: the running trainings.
        clock_seconds: seconds since this run began.
        seconds_left: estimated seconds to its end, None while unknown.
        stopping: whether no further training starts, and the running ones end after their epoch.
    """

    done: int
    failed: int
    total: int
    share_done: float
    running: Sequence[RunningTraining]
    clock_seconds: float
    seconds_left: float | None
    stopping: bool = False


class ListObserver(Protocol):
    """Shows a list of trainings; the driver calls it, so its methods must return quickly."""

    def on_progress(self, progress: ListProgress) -> None:
        """Show the progress; called about twice a second."""
        ...

    def on_end(self, progress: ListProgress) -> None:
        """Show the end; called once, also after an error."""
        ...


def list_seconds_left(rests: Sequence[float], slots: int, waste: float = 1.0) -> float:
    """Return the seconds until trainings end that share slots: no less than the longest takes, nor than all together.

    Args:
        rests: training seconds that each still takes.
        slots: number of slots, at least 1.
        waste: seconds of a slot for one of training in it; between 1 and `MOST_WASTE` it is believed.

    >>> list_seconds_left([10.0, 10.0, 10.0], 2), list_seconds_left([30.0, 1.0], 2, waste=1.5)
    (15.0, 45.0)
    """
    least = max(max(rests, default=0.0), sum(rests) / slots)
    return least * min(MOST_WASTE, max(1.0, waste))
