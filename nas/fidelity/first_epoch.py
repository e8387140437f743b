"""The best of each cohort after one epoch: everything is trained a little, and only what stands out in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.fidelity.ranking import best_of
from nas.objectives.pareto import losses
from nas.study.trial import ENDED, Expected, Record


@final
class FirstEpoch:
    """Trains networks to a first rung, cohort by cohort, then the best of a cohort in full, and gives up the others.

    A cohort is made of trials with neighbouring numbers, and its best follow from their first epochs, so a resumed
    search decides as an unbroken one would. When nothing new may start, the last cohort is settled as it stands.
    """

    def __init__(self, horizon: Horizon, cohort: int, best: int, epochs: int) -> None:
        """Make the policy.

        Args:
            horizon: what it is made for.
            cohort: trials that are compared with one another, at least 2.
            best: how many of them are trained in full, from 1 to `cohort`.
            epochs: where they are compared, from 1 to less than the full horizon.

        Raises:
            ValueError: a number out of range.
        """
        if cohort < 2 or not 1 <= best <= cohort:
            raise ValueError(f"fidelity.options must have 1 <= best <= cohort and cohort >= 2, got {best} and {cohort}")
        if not 1 <= epochs < horizon.epochs:
            raise ValueError(
                f"fidelity.options.epochs must be at least 1 and below training.epochs={horizon.epochs}, got {epochs}"
            )
        self._horizon = horizon
        self._cohort = cohort
        self._best = best
        self._rung = epochs

    def decide(self, standing: Standing) -> Decision | None:
        """What was cut short first, then a settled cohort's trials, then a new one."""
        full = self._horizon.epochs
        for record in standing.waiting:
            if len(record.curve) < self._rung:
                return Thaw(record.number, self._rung)
            if len(record.curve) > self._rung:
                return Thaw(record.number, full)
        for record in standing.waiting:
            members = self._members(standing, record)
            if self._settled(members, standing):
                chosen = record.number in self._chosen(members)
                return Thaw(record.number, full) if chosen else Prune(record.number)
        return Start(self._rung) if standing.may_start else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:  # noqa: ARG002 - nothing is predicted
        """Nothing: what is given up is told as pruned."""
        return {}

    def _members(self, standing: Standing, record: Record) -> Sequence[Record]:
        first = record.number - record.number % self._cohort
        numbers = range(first, first + self._cohort)
        return [standing.records[number] for number in numbers if number in standing.records]

    def _settled(self, members: Sequence[Record], standing: Standing) -> bool:
        """Whether all that will ever belong to a cohort has reached the rung or ended."""
        reached = all(record.state in ENDED or len(record.curve) >= self._rung for record in members)
        return reached and (len(members) == self._cohort or not standing.may_start)

    def _chosen(self, members: Sequence[Record]) -> set[int]:
        """Numbers of those that go on; of a cohort that is not whole the same share, and one at least."""
        rivals = [record for record in members if len(record.curve) >= self._rung]
        count = max(1, len(rivals) * self._best // self._cohort)
        values = [self._horizon.values(record.curve[: self._rung], record.candidate.costs) for record in rivals]
        return {rivals[index].number for index in best_of(losses(self._horizon.axes, values), count)}


def make(horizon: Horizon, cohort: int = 16, best: int = 4, epochs: int = 1) -> FirstEpoch:
    """The policy."""
    return FirstEpoch(horizon, cohort, best, epochs)
