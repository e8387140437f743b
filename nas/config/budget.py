"""Configuration of the budget of a search."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.ranges import Minutes, Positive, Total, check_fields


@dataclass(frozen=True)
class Budget:
    """Stopping criteria of a search, which ends at the first that is met.

    All are totals of the study: a resumed search continues up to them.

    Attributes:
        trials: number of trials that are complete or pruned; null for no limit.
        minutes: wall-clock minutes over all runs of the study; null for no limit.
        trainings: training time in units of a full training; null for no limit.
        training_seconds: seconds of one such unit; null for the mean of the trials trained in full.
        max_idle_asks: consecutive draws that were all rejected or duplicates, after which the space counts as
            exhausted.
        min_gain: least hypervolume, as a share of the objective space, that an hour of training must still gain; below
            it no training is started. null for no such criterion.
        patience: number of complete trials over which that gain is measured, at least 1.

    Raises:
        ValueError: a criterion that is not positive, or none of trials, minutes and trainings.
    """

    trials: Total | None = 100
    minutes: Minutes | None = None
    trainings: Positive | None = None
    training_seconds: Positive | None = None
    max_idle_asks: Total = 300
    min_gain: Positive | None = None
    patience: Total = 20

    def __post_init__(self) -> None:
        check_fields(self, "budget")
        if self.trials is None and self.minutes is None and self.trainings is None:
            raise ValueError("a budget must set at least one of trials, minutes and trainings, got none")
