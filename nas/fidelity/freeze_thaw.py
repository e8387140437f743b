"""Freeze–thaw: train every network to a rung, and continue the frozen one with the highest expected gain per second.

A new trial is trained to a rung, a prefix of the full schedule, and frozen there with its checkpoint. Its final loss is
predicted from its learning curve and its costs (`prediction.py`; freezing and thawing by predicted ends follows
Swersky, Snoek and Adams 2014). The expected hypervolume improvement of that prediction is known in closed form
(`nas/objectives/expected_improvement.py`). The frozen trial with the highest expected improvement per second of its
remaining training is continued.

The first trials all stop at the rung, then some of them are finished as data for the predictions. After that, jobs that
continue a frozen trial and jobs that start a new one compete. Once no new trial may start, the frozen trials that can
still reach the front are finished, and the others are pruned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.fidelity.prediction import CurvePredictor, full_seconds, predict_unfinished
from nas.fidelity.rungs import count_promotions, next_rung, resume_interrupted, rung_epochs, target_rung
from nas.objectives.expected_improvement import (
    box_decomposition,
    expected_hypervolume_improvement,
)
from nas.objectives.loss_scale import LossScale
from nas.study.trial import Expected, Record, State
from search_space.plugins import with_settings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """Settings of the policy; conf/fidelity/freeze_thaw.yaml shows them with the same defaults.

    Attributes:
        rungs: shares of a full training after which a trial is frozen, each in (0, 1).
        start: trials that are trained to the first rung before any is continued, at least 1.
        finished: number of these that are continued before the next trial starts, from 1 to `start`.
        thaws: jobs that continue a frozen trial for each job that starts a new one, positive; used with samplers that
            give no acquisition values (all but known_cost).
        eager: least ratio of a frozen trial's acquisition value to that of a new network at which the frozen trial is
            continued, positive; used with samplers that give acquisition values (known_cost).
        hope: probability of reaching the front below which a frozen trial is pruned, in [0, 1); used once no new trial
            may start.

    Raises:
        ValueError: a value is out of range.
    """

    rungs: tuple[float, ...] = (1 / 3,)
    start: int = 8
    finished: int = 3
    thaws: float = 0.5
    eager: float = 0.7
    hope: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "rungs", tuple(self.rungs))  # YAML has lists
        if self.start < 1 or not 1 <= self.finished <= self.start:
            raise ValueError(f"fidelity.options must have 1 <= finished <= start, got {self.finished} and {self.start}")
        for name in ("thaws", "eager"):
            if not getattr(self, name) > 0:
                raise ValueError(f"fidelity.options.{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.hope < 1:
            raise ValueError(f"fidelity.options.hope must lie in [0, 1), got {self.hope}")


@dataclass(frozen=True)
class FrozenScores:
    """Scores of n frozen trials.

    Attributes:
        improvement_rate: (n,) expected hypervolume improvement per second of remaining training.
        front_probability: (n,) probability of a lower loss than every complete trial of at most the same costs.
    """

    improvement_rate: Floats
    front_probability: Floats


@final
class FreezeThaw:
    """Policy that freezes trials at rungs and continues those with the highest expected improvement per second."""

    def __init__(self, horizon: Horizon, settings: Settings) -> None:
        """Make the policy.

        Args:
            horizon: full training and objectives.
            settings: settings of the policy.

        Raises:
            ValueError: a rung is out of range.
        """
        self._horizon = horizon
        self._settings = settings
        self._rungs = rung_epochs(settings.rungs, horizon.epochs)
        horizon.check_rungs(self._rungs)

    def decide(self, standing: Standing) -> Decision | None:
        """Return an interrupted job first, then a new trial or the best frozen one; at the end prune the hopeless."""
        if resumed := resume_interrupted(standing, self._rungs):
            return resumed
        if not standing.waiting:
            return Start(self._rungs[0]) if standing.may_start else None
        if standing.trainings_left == 0:
            return Prune(standing.waiting[0].number)
        if standing.may_start and not self._is_too_late_to_start(standing):
            return self._start_or_thaw(standing)
        return self._thaw_or_prune(standing)

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return the predicted ends of trials that wait at a rung or were pruned there."""
        return predict_unfinished(self._horizon, records, self._rungs[0])

    def _start_or_thaw(self, standing: Standing) -> Decision:
        """Return a new trial or the best frozen one, by the sampler's acquisition values if it has any."""
        settings, started = self._settings, len(standing.records)
        promoted = count_promotions(standing, self._rungs)
        if started < settings.start:
            return Start(self._rungs[0])
        prospects = standing.prospects() if promoted >= settings.finished else None
        if prospects is not None:
            best = max(standing.waiting, key=lambda record: prospects.frozen.get(record.number, 0.0))
            if prospects.frozen.get(best.number, 0.0) < settings.eager * prospects.new:
                return Start(self._rungs[0])
        elif promoted >= settings.finished + settings.thaws * (started - settings.start):
            return Start(self._rungs[0])
        else:
            best = standing.waiting[int(np.argmax(self._scores(standing).improvement_rate))]
        return Thaw(best.number, next_rung(best, self._rungs))

    def _thaw_or_prune(self, standing: Standing) -> Decision:
        """Return the best frozen trial to continue, or the worst one to prune if none is likely to reach the front."""
        scores = self._scores(standing)
        best = int(np.argmax(scores.improvement_rate))
        if scores.front_probability[best] < self._settings.hope:
            return Prune(standing.waiting[int(np.argmin(scores.improvement_rate))].number)
        record = standing.waiting[best]
        return Thaw(record.number, next_rung(record, self._rungs))

    def _is_too_late_to_start(self, standing: Standing) -> bool:
        """Return whether the time left is shorter than the mean full training."""
        if standing.seconds_left is None:
            return False
        known = [full_seconds(r, self._horizon.epochs) for r in standing.records.values() if r.curve]
        return bool(known) and standing.seconds_left < float(np.mean(known))

    def _scores(self, standing: Standing) -> FrozenScores:
        """Return the scores of the frozen trials, given complete trials and those that are being finished."""
        records = [record for record in standing.records.values() if record.curve]
        expected = CurvePredictor(self._horizon, records).predict([r for r in records if r.state == State.RUNNING])
        waiting = {record.number for record in standing.waiting}
        known = [dict(record.values) for record in records if record.values]
        known += [
            dict(expected[record.number].values)
            for record in records
            if record.state == State.RUNNING
            and record.number not in waiting
            and target_rung(record, self._rungs) == self._rungs[-1]
        ]
        return self._score(known, standing.waiting, [expected[record.number] for record in standing.waiting])

    def _score(
        self, known: Sequence[Mapping[str, float]], frozen: Sequence[Record], expected: Sequence[Expected]
    ) -> FrozenScores:
        """Return the scores of frozen trials with these predictions, given the objectives of other trials."""
        axes = self._horizon.axes
        trained = next((axis for axis in axes if axis.name not in self._horizon.costs), axes[0])
        others = [axis for axis in axes if axis is not trained]

        def losses(values: Sequence[Mapping[str, float]]) -> tuple[Floats, Floats]:
            rows = [[axis.loss(value[axis.name]) for axis in others] for value in values]
            return (
                np.array([trained.loss(value[trained.name]) for value in values], dtype=np.float64),
                np.array(rows, dtype=np.float64).reshape(len(values), len(others)),
            )

        scale = LossScale.of(trained)
        ends, costs = losses([prediction.values for prediction in expected])
        nearer = np.array([trained.loss(p.values[trained.name] + p.deviation) for p in expected])
        means = scale.modelled(ends)
        deviations = scale.modelled(ends + np.abs(nearer - ends)) - means
        front, front_costs = losses(known)
        boxes = box_decomposition(front, front_costs)
        gains = expected_hypervolume_improvement(boxes, costs, means, deviations, scale.improvement())
        left = [p.seconds - record.seconds for p, record in zip(expected, frozen, strict=True)]
        least = [min(front[(front_costs <= cost).all(axis=1)], default=1.0) for cost in costs]
        best = scale.modelled(np.array(least))
        return FrozenScores(gains / np.maximum(left, 1e-9), ndtr((best - means) / np.maximum(deviations, 1e-12)))


@with_settings(Settings)
def make(horizon: Horizon, settings: Settings) -> FreezeThaw:
    """Return the policy."""
    return FreezeThaw(horizon, settings)
