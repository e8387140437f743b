"""Asynchronous successive halving for several objectives: of all networks at a rung, the best share goes on at once.

After Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving": a free slot goes on with a network that
is among the best 1/η of those that have reached its rung, the highest rung first, and else starts a new one.
The best are those of the first layers of a non-dominated sorting, and within a layer an epsilon-net (`ranking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.fidelity.prediction import Prediction
from nas.fidelity.ranking import best_of
from nas.fidelity.rungs import cut_short, rungs_of
from nas.objectives.pareto import losses
from nas.study.trial import Expected, Record, State


@final
class Moasha:
    """Promotes the best share of every rung."""

    def __init__(self, horizon: Horizon, rungs: Sequence[float], reduction: float) -> None:
        """Make the policy.

        Args:
            horizon: what it is made for.
            rungs: shares of a full training after which networks are compared, each in (0, 1).
            reduction: η, of how many networks one goes on, above 1.

        Raises:
            ValueError: a value out of range.
        """
        if not reduction > 1:
            raise ValueError(f"fidelity.options.reduction must be above 1, got {reduction}")
        self._horizon = horizon
        self._reduction = reduction
        self._rungs = rungs_of(rungs, horizon.epochs)

    def decide(self, standing: Standing) -> Decision | None:
        """What was cut short first, then a promotion, then a new network; at the end the others are given up."""
        if resumed := cut_short(standing, self._rungs):
            return resumed
        for rung, following in reversed(list(zip(self._rungs, self._rungs[1:], strict=False))):
            for record in standing.waiting:
                if len(record.curve) == rung and record.number in self._best(standing, rung):
                    return Thaw(record.number, following)
        if standing.may_start:
            return Start(self._rungs[0])
        return Prune(standing.waiting[0].number) if standing.waiting else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """What trials that stand at a rung, or were given up there, would come to."""
        return Prediction(self._horizon, records.values()).of(
            [r for r in records.values() if r.state in (State.RUNNING, State.PRUNED) and len(r.curve) >= self._rungs[0]]
        )

    def _best(self, standing: Standing, rung: int) -> set[int]:
        """Numbers of the best share of all trials that have reached a rung."""
        reached = [record for record in standing.records.values() if len(record.curve) >= rung]
        values = [self._horizon.values(record.curve[:rung], record.candidate.costs) for record in reached]
        count = int(len(reached) / self._reduction)
        return {reached[index].number for index in best_of(losses(self._horizon.axes, values), count)}


def make(horizon: Horizon, rungs: Sequence[float] = (1 / 9, 1 / 3), reduction: float = 3.0) -> Moasha:
    """The policy."""
    return Moasha(horizon, rungs, reduction)
