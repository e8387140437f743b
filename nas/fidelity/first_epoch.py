"""Cohorts compared after their first epochs: the best trials of each are trained in full, the others are pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.fidelity.ranking import select_best
from nas.objectives.pareto import losses
from nas.study.trial import ENDED, Expected, Record


@final
class FirstEpoch:
    """Policy that trains cohorts to a first rung, then the best trials of each in full, and prunes the others.

    A cohort consists of trials with consecutive numbers, and its best ones depend on their first epochs alone, so a
    resumed search decides as an unbroken one does. Once no new trial may start, an incomplete cohort is decided too.
    """

    def __init__(self, horizon: Horizon, cohort: int, best: int, epochs: int) -> None:
        """Make the policy.

        Args:
            horizon: full training and objectives.
            cohort: number of trials that are compared with one another, at least 2.
            best: number of them that are trained in full, from 1 to `cohort`.
            epochs: epochs after which they are compared, from 1 to less than a full training.

        Raises:
            ValueError: a number is out of range.
        """
        if cohort < 2 or not 1 <= best <= cohort:
            raise ValueError(f"fidelity.options must have 1 <= best <= cohort and cohort >= 2, got {best} and {cohort}")
        if not 1 <= epochs < horizon.epochs:
            raise ValueError(
                f"fidelity.options.epochs must be at least 1 and below training.epochs={horizon.epochs}, got {epochs}"
            )
        horizon.check_rungs([epochs])
        self._horizon = horizon
        self._cohort = cohort
        self._best = best
        self._rung = epochs

    def decide(self, standing: Standing) -> Decision | None:
        """Return an interrupted job first, then the decision on a trial of a whole cohort, then a new trial."""
        full = self._horizon.epochs
        for record in standing.waiting:
            if len(record.curve) < self._rung:
                return Thaw(record.number, self._rung)
            if len(record.curve) > self._rung:
                return Thaw(record.number, full)
        for record in standing.waiting:
            members = self._members(standing, record)
            if self._is_ready(members, standing):
                best = record.number in self._best_of(members)
                return Thaw(record.number, full) if best else Prune(record.number)
        return Start(self._rung) if standing.may_start else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:  # noqa: ARG002 - no end is predicted
        """Return no predictions: the sampler sees the other trials as pruned."""
        return {}

    def _members(self, standing: Standing, record: Record) -> Sequence[Record]:
        first = record.number - record.number % self._cohort
        numbers = range(first, first + self._cohort)
        return [standing.records[number] for number in numbers if number in standing.records]

    def _is_ready(self, members: Sequence[Record], standing: Standing) -> bool:
        """Return whether all trials that a cohort will ever have reached the rung or ended."""
        reached = all(record.state in ENDED or len(record.curve) >= self._rung for record in members)
        return reached and (len(members) == self._cohort or not standing.may_start)

    def _best_of(self, members: Sequence[Record]) -> set[int]:
        """Return the numbers of the best trials; of an incomplete cohort the same share, and at least one."""
        rung = self._rung
        rivals = [record for record in members if len(record.curve) >= rung and record.curve[rung - 1].validated]
        count = max(1, len(rivals) * self._best // self._cohort)
        values = [self._horizon.values(record.curve[: self._rung], record.candidate.costs) for record in rivals]
        return {rivals[index].number for index in select_best(losses(self._horizon.axes, values), count)}


def make(horizon: Horizon, cohort: int = 16, best: int = 4, epochs: int = 1) -> FirstEpoch:
    """Return the policy."""
    return FirstEpoch(horizon, cohort, best, epochs)
