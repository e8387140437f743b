"""Asynchronous successive halving over the rungs of one bracket, by non-dominated sorting.

A free slot promotes a trial that is among the best 1/η of those that have reached its rung, the highest rung first (Li
et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"). The best are taken front by front of a
non-dominated sorting, and within a front by an epsilon-net (Schmucker et al. 2021; `ranking.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Thaw
from nas.fidelity.ranking import select_best
from nas.objectives.pareto import losses
from nas.study.trial import Record


@final
@dataclass(frozen=True)
class Halving:
    """Rule of the promotions between rungs: the best 1/η of those that have reached a rung.

    Attributes:
        horizon: full training and objectives.
        rungs: epochs of the rungs, ascending; the last one is the end of a full training.
        reduction: η, the reduction factor, above 1.

    Raises:
        ValueError: `reduction` is not above 1, or a rung lies between two validations.
    """

    horizon: Horizon
    rungs: tuple[int, ...]
    reduction: float

    def __post_init__(self) -> None:
        if not self.reduction > 1:
            raise ValueError(f"fidelity.options.reduction must be above 1, got {self.reduction}")
        self.horizon.check_rungs(self.rungs)

    def promotion(self, waiting: Iterable[Record], rivals: Iterable[Record]) -> Thaw | None:
        """Return the promotion from the highest rung at which one is due, the oldest trial of it first.

        Args:
            waiting: unfinished trials without a running job, in order of their numbers.
            rivals: all trials that are compared with one another, the waiting ones among them.
        """
        frozen, peers = list(waiting), list(rivals)
        for rung, following in reversed(list(zip(self.rungs, self.rungs[1:], strict=False))):
            here = [record.number for record in frozen if rung <= len(record.curve) < following]
            best = self._best(peers, rung) if here else set()
            due = next((number for number in here if number in best), None)
            if due is not None:
                return Thaw(due, following)
        return None

    def _best(self, rivals: Iterable[Record], rung: int) -> set[int]:
        """Return the numbers of the best 1/η of the trials that have reached a rung."""
        reached = [record for record in rivals if len(record.curve) >= rung and record.curve[rung - 1].validated]
        values = [self.horizon.values(record.curve[:rung], record.candidate.costs) for record in reached]
        count = int(len(reached) / self.reduction)
        return {reached[index].number for index in select_best(losses(self.horizon.axes, values), count)}
