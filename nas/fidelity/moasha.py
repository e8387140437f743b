"""Multi-objective asynchronous successive halving (MO-ASHA; Schmucker et al. 2021).

A free slot promotes a trial that is among the best 1/η of those that have reached its rung, the highest rung first,
and otherwise starts a new one. The best are taken front by front of a non-dominated sorting, and within a front by an
epsilon-net (`ranking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.fidelity.prediction import predict_unfinished
from nas.fidelity.ranking import select_best
from nas.fidelity.rungs import resume_interrupted, rung_epochs
from nas.objectives.pareto import losses
from nas.study.trial import Expected, Record


@final
class Moasha:
    """Policy that promotes the best share of every rung."""

    def __init__(self, horizon: Horizon, rungs: Sequence[float], reduction: float) -> None:
        """Make the policy.

        Args:
            horizon: full training and objectives.
            rungs: shares of a full training after which trials are compared, each in (0, 1).
            reduction: η, the reduction factor, above 1: one in η trials is promoted.

        Raises:
            ValueError: a value is out of range.
        """
        if not reduction > 1:
            raise ValueError(f"fidelity.options.reduction must be above 1, got {reduction}")
        self._horizon = horizon
        self._reduction = reduction
        self._rungs = rung_epochs(rungs, horizon.epochs)

    def decide(self, standing: Standing) -> Decision | None:
        """Return an interrupted job first, then a promotion, then a new trial; at the end the others are pruned."""
        if resumed := resume_interrupted(standing, self._rungs):
            return resumed
        for rung, following in reversed(list(zip(self._rungs, self._rungs[1:], strict=False))):
            for record in standing.waiting:
                if len(record.curve) == rung and record.number in self._best(standing, rung):
                    return Thaw(record.number, following)
        if standing.may_start:
            return Start(self._rungs[0])
        return Prune(standing.waiting[0].number) if standing.waiting else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return the predicted ends of trials that wait at a rung or were pruned there."""
        return predict_unfinished(self._horizon, records, self._rungs[0])

    def _best(self, standing: Standing, rung: int) -> set[int]:
        """Return the numbers of the best 1/η of all trials that have reached a rung."""
        reached = [record for record in standing.records.values() if len(record.curve) >= rung]
        values = [self._horizon.values(record.curve[:rung], record.candidate.costs) for record in reached]
        count = int(len(reached) / self._reduction)
        return {reached[index].number for index in select_best(losses(self._horizon.axes, values), count)}


def make(horizon: Horizon, rungs: Sequence[float] = (1 / 9, 1 / 3), reduction: float = 3.0) -> Moasha:
    """Return the policy."""
    return Moasha(horizon, rungs, reduction)
