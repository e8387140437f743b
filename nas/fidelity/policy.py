"""Which job comes next: how far a new trial is trained at first, and what a frozen one is trained to."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nas.study.trial import Candidate, Descent, Expected, Prospects, Record


@dataclass(frozen=True)
class Start:
    """Ask for a new architecture and train it to `to_epoch`."""

    to_epoch: int


@dataclass(frozen=True)
class Thaw:
    """Train the frozen trial `trial` on to `to_epoch`."""

    trial: int
    to_epoch: int


@dataclass(frozen=True)
class Prune:
    """Give the frozen trial `trial` up."""

    trial: int


@dataclass(frozen=True)
class RepeatTraining:
    """Train the network of the complete trial `trial` once more, or go on with its repeat that was left open."""

    trial: int


Decision = Start | Thaw | Prune | RepeatTraining


@dataclass(frozen=True)
class Standing:
    """Where a search stands when a slot is free.

    Attributes:
        records: all trials by number, in ascending order.
        waiting: those that have not ended and that nobody trains now, in order of their numbers.
        may_start: whether the budget allows another trial.
        trainings_left: full-training equivalents that the budget has left, None for no such end.
        seconds_left: seconds of the clock that the budget has left, None for no such end.
        prospects: what the sampler says of the next jobs, None where it says nothing; a call takes as long as an ask.
        running: numbers of the trials that are trained now, complete ones that are repeated among them.
    """

    records: Mapping[int, Record]
    waiting: Sequence[Record]
    may_start: bool
    trainings_left: float | None = None
    seconds_left: float | None = None
    prospects: Callable[[], Prospects | None] = lambda: None
    running: Container[int] = ()


class Policy(Protocol):
    """Decides about trials between jobs.

    What it decides follows from where the search stands alone, so that a resumed one decides as an unbroken one would.
    """

    def decide(self, standing: Standing) -> Decision | None:
        """The next job for a free slot, None when nothing is left to do."""
        ...

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """What full trainings of trials that had none would come to, by number; the sampler is told.

        Args:
            records: all trials by number.
        """
        ...


@runtime_checkable
class Inheriting(Protocol):
    """A policy under which networks may start from the weights of others."""

    def descent(self, candidate: Candidate, trained: Sequence[Record]) -> Descent | None:
        """Whose weights a new network starts from, None for fresh ones; chosen once, before it is stored.

        Args:
            candidate: the network.
            trained: complete trials whose checkpoints are kept.
        """
        ...
