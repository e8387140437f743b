"""Interface of fidelity policies: the decisions that they make, and the state of a search that they decide on."""

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
    """Continue the frozen trial `trial` to `to_epoch`."""

    trial: int
    to_epoch: int


@dataclass(frozen=True)
class Prune:
    """Prune the frozen trial `trial`."""

    trial: int


@dataclass(frozen=True)
class RepeatTraining:
    """Train the network of the complete trial `trial` with another seed, or continue its unfinished repeat."""

    trial: int


Decision = Start | Thaw | Prune | RepeatTraining


@dataclass(frozen=True)
class Standing:
    """State of a search at the moment when a slot is free.

    Attributes:
        records: all trials by number, in ascending order.
        waiting: unfinished trials without a running job (frozen or interrupted), in order of their numbers.
        may_start: whether the budget allows another trial.
        trainings_left: full-training equivalents left in the budget, None if it does not limit them.
        seconds_left: seconds of wall-clock time left in the budget, None if it does not limit them.
        prospects: returns the sampler's acquisition values of the next jobs, None if it has none; takes as long as
            drawing a network.
        running: numbers of the trials with a running job, including complete ones that are repeated.
    """

    records: Mapping[int, Record]
    waiting: Sequence[Record]
    may_start: bool
    trainings_left: float | None = None
    seconds_left: float | None = None
    prospects: Callable[[], Prospects | None] = lambda: None
    running: Container[int] = ()


class Policy(Protocol):
    """Policy that decides between jobs how far trials are trained.

    A decision depends on the state of the search alone, so a resumed search decides as an unbroken one does.
    """

    def decide(self, standing: Standing) -> Decision | None:
        """Return the next job for a free slot, None if there is nothing to do."""
        ...

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return predictions for trials without a full training, by number; the sampler sees them as results.

        Args:
            records: all trials by number.
        """
        ...


@runtime_checkable
class Inheriting(Protocol):
    """Policy under which networks may start from the weights of others."""

    def descent(self, candidate: Candidate, trained: Sequence[Record]) -> Descent | None:
        """Return the parent whose weights a new network starts from, None for fresh weights.

        It is chosen once, before the trial is stored.

        Args:
            candidate: the new network.
            trained: complete trials whose checkpoints are kept.
        """
        ...
