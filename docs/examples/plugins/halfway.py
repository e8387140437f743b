"""Fidelity: a trial that is poor at half of its training is given up."""

from collections.abc import Mapping

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.study.trial import Expected, Record


class Halfway:
    """Policy that trains to the middle, and goes on only with an accuracy of at least `least`."""

    def __init__(self, epochs: int, least: float) -> None:
        self.epochs, self.middle, self.least = epochs, max(1, epochs // 2), least

    def decide(self, standing: Standing) -> Decision | None:
        """Return the next job for a free slot; it depends on the state of the search alone."""
        for record in standing.waiting:  # frozen or interrupted trials
            if len(record.curve) < self.middle:
                return Thaw(record.number, self.middle)
            good = (record.curve[self.middle - 1].val_accuracy or 0.0) >= self.least
            return Thaw(record.number, self.epochs) if good else Prune(record.number)
        return Start(self.middle) if standing.may_start else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return no predictions for trials without a full training."""
        return {}


def make(horizon: Horizon, least: float = 0.5) -> Halfway:
    """Return the policy for trainings of that horizon."""
    return Halfway(horizon.epochs, least)
