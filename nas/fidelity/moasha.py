"""Multi-objective asynchronous successive halving (MO-ASHA; Schmucker et al. 2021).

A free slot promotes a trial that is among the best 1/η of those that have reached its rung (`halving.py`), and
otherwise starts a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.halving import Halving
from nas.fidelity.policy import Decision, Prune, Standing, Start
from nas.fidelity.prediction import predict_unfinished
from nas.fidelity.rungs import resume_interrupted, rung_epochs
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
        self._horizon = horizon
        self._halving = Halving(horizon, rung_epochs(rungs, horizon.epochs), reduction)

    def decide(self, standing: Standing) -> Decision | None:
        """Return an interrupted job first, then a promotion, then a new trial; at the end the others are pruned."""
        rungs = self._halving.rungs
        if resumed := resume_interrupted(standing, rungs):
            return resumed
        if promoted := self._halving.promotion(standing.waiting, standing.records.values()):
            return promoted
        if standing.may_start:
            return Start(rungs[0])
        return Prune(standing.waiting[0].number) if standing.waiting else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return the predicted ends of trials that wait at a rung or were pruned there."""
        return predict_unfinished(self._horizon, records, self._halving.rungs[0])


def make(horizon: Horizon, rungs: Sequence[float] = (1 / 9, 1 / 3), reduction: float = 3.0) -> Moasha:
    """Return the policy."""
    return Moasha(horizon, rungs, reduction)
