"""Which job comes next: how far a new trial is trained at first, and what a frozen one is trained to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

from nas.records import Record


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


Decision = Start | Thaw | Prune


class Policy(Protocol):
    """Decides about trials between jobs."""

    def decide(self, frozen: Sequence[Record], may_start: bool) -> Decision | None:
        """The next job for a free slot.

        Args:
            frozen: the trials that wait for a decision, in order of their numbers.
            may_start: whether the budget allows another trial.

        Returns:
            What to do, None when nothing is left to do.
        """
        ...


@final
class Full:
    """Every trial is trained over the full horizon; what an earlier run left unfinished is finished first."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def decide(self, frozen: Sequence[Record], may_start: bool) -> Decision | None:
        """The oldest unfinished trial, then a new one."""
        if frozen:
            return Thaw(frozen[0].number, self._epochs)
        return Start(self._epochs) if may_start else None
