"""Every trial over the full horizon, but for those that are like a trained network: they go on from its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from nas.fidelity.factory import Horizon
from nas.fidelity.full import Full
from nas.fidelity.policy import Decision, Standing
from nas.study.trial import Candidate, Descent, Expected, Record


@final
class Inherit:
    """A network that few choices set apart from a trained one starts from its weights, late in the schedule.

    It is trained over the last part of the schedule, at the learning rates that belong there, and costs the seconds of
    that part alone. Only what was itself trained from fresh weights has heirs: along a line of heirs every network
    would have been trained for longer than the one before, and the front would be that of the oldest lines.
    """

    def __init__(self, epochs: int, skip: float, changes: int) -> None:
        """Make the policy.

        Args:
            epochs: the full horizon of a training, at least 2.
            skip: share of the horizon that an heir is spared, in (0, 1); whole epochs, at least one of them spared and
                one trained.
            changes: choices that may set an heir apart from its parent, at least 1.

        Raises:
            ValueError: a number out of range.
        """
        if epochs < 2:
            raise ValueError(f"fidelity=inherit needs training.epochs of at least 2, got {epochs}")
        if not 0 < skip < 1:
            raise ValueError(f"fidelity.options.skip must lie in (0, 1), got {skip}")
        if changes < 1:
            raise ValueError(f"fidelity.options.changes must be at least 1, got {changes}")
        self._skips = min(max(1, round(skip * epochs)), epochs - 1)
        self._changes = changes
        self._full = Full(epochs)

    def decide(self, standing: Standing) -> Decision | None:
        """The oldest unfinished trial, then a new one."""
        return self._full.decide(standing)

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Nothing."""
        return self._full.expected(records)

    def descent(self, candidate: Candidate, trained: Sequence[Record]) -> Descent | None:
        """The nearest trained network that may have heirs, the oldest of several; None where none is near."""
        near = [
            (differing(candidate.params, record.candidate.params), record.number)
            for record in trained
            if record.descent is None
        ]
        count, number = min(near, default=(self._changes + 1, 0))
        return Descent(number, count, self._skips) if count <= self._changes else None


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """How many choices both made, and made differently; what hangs on one of them is not counted beside it.

    >>> differing({"depth": 1, "k3": 8}, {"depth": 2, "k3": 8, "block1.k3": 4})
    1
    """
    return sum(value != other[path] for path, value in one.items() if path in other)


def make(horizon: Horizon, skip: float = 1 / 3, changes: int = 2) -> Inherit:
    """The policy."""
    return Inherit(horizon.epochs, skip, changes)
