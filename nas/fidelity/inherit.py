"""Full training, in which a network similar to a trained one starts from its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from nas.fidelity.factory import Horizon
from nas.fidelity.full import Full
from nas.fidelity.policy import Decision, Standing
from nas.study.trial import Candidate, Descent, Expected, Record


@final
class Inherit:
    """Policy under which a network that differs from a trained one in few choices inherits its weights.

    The heir is trained over the last part of the schedule, at its learning rates, and costs the seconds of that part
    alone. A parent was itself trained from fresh weights: along a chain of heirs each network would have been trained
    for longer in all than the one before, and the front would consist of the longest chains.
    """

    def __init__(self, epochs: int, skip: float, changes: int) -> None:
        """Make the policy.

        Args:
            epochs: epochs of a full training, at least 2.
            skip: share of the schedule that an heir skips, in (0, 1); rounded to whole epochs, of which at least one
                is skipped and one trained.
            changes: largest number of choices in which an heir differs from its parent, at least 1.

        Raises:
            ValueError: a number is out of range.
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
        """Return the oldest unfinished trial, then a new one."""
        return self._full.decide(standing)

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return no predictions."""
        return self._full.expected(records)

    def descent(self, candidate: Candidate, trained: Sequence[Record]) -> Descent | None:
        """Return the most similar trained network as the parent, the oldest of several; None if none is similar."""
        near = [
            (count_differences(candidate.params, record.candidate.params), record.number)
            for record in trained
            if record.descent is None
        ]
        count, number = min(near, default=(self._changes + 1, 0))
        return Descent(number, count, self._skips) if count <= self._changes else None


def count_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """Return the number of choices that both made, and made differently.

    A choice that only one of them made depends on one that differs, and is not counted beside it.

    >>> count_differences({"depth": 1, "k3": 8}, {"depth": 2, "k3": 8, "block1.k3": 4})
    1
    """
    return sum(value != other[path] for path, value in one.items() if path in other)


def make(horizon: Horizon, skip: float = 1 / 3, changes: int = 2) -> Inherit:
    """Return the policy."""
    return Inherit(horizon.epochs, skip, changes)
