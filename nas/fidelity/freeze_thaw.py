"""Freeze–thaw: train every network a part of the way, and finish the one that promises most, whenever that pays.

A new network is trained to a rung, a prefix of the full schedule, and frozen there with its checkpoint. What it will
come to is predicted from its learning curve and its costs (`prediction.py`; the idea of freezing and thawing by
predicted ends is Swersky, Snoek and Adams 2014), and what that would add to the front is known in closed form
(`nas/objectives/expected_improvement.py`). The frozen network of which most is expected for a second of what it
still needs goes on.

The first networks all stop at the rung, then some of them are finished, so that predictions have something to learn
from; after that a share of the jobs are thaws. When nothing new may start, what can still reach the front is finished,
and the rest given up.
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
from nas.fidelity.prediction import SHIFT, Prediction, full_seconds
from nas.fidelity.rungs import cut_short, goal_of, next_rung, promotions, rungs_of
from nas.objectives.expected_improvement import (
    box_decomposition,
    expected_hypervolume_improvement,
    expected_log_improvement,
)
from nas.study.trial import Expected, Record, State

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Thawing:
    """Settings of the policy.

    Attributes:
        rungs: shares of a full training after which a network is frozen, each in (0, 1).
        start: networks that are trained to the first rung before any goes on, at least 1.
        finished: of those, how many are finished before the next network starts, at least 1.
        thaws: jobs that go on with a frozen network, for each that starts a new one, where the sampler can't say what
            a new one promises; positive.
        eager: how many times as much as a new network a frozen one must promise a second to go on, positive.
        hope: probability of reaching the front below which a network is given up at the end, in [0, 1).

    Raises:
        ValueError: a value out of range.
    """

    rungs: tuple[float, ...] = (1 / 3,)
    start: int = 8
    finished: int = 3
    thaws: float = 0.5
    eager: float = 0.7
    hope: float = 0.1

    def __post_init__(self) -> None:
        if self.start < 1 or not 1 <= self.finished <= self.start:
            raise ValueError(f"fidelity.options must have 1 <= finished <= start, got {self.finished} and {self.start}")
        for name in ("thaws", "eager"):
            if not getattr(self, name) > 0:
                raise ValueError(f"fidelity.options.{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.hope < 1:
            raise ValueError(f"fidelity.options.hope must lie in [0, 1), got {self.hope}")


@final
class FreezeThaw:
    """Trains to a rung, and goes on with what promises most a second."""

    def __init__(self, horizon: Horizon, settings: Thawing) -> None:
        """Make the policy.

        Raises:
            ValueError: rungs out of range.
        """
        self._horizon = horizon
        self._settings = settings
        self._rungs = rungs_of(settings.rungs, horizon.epochs)

    def decide(self, standing: Standing) -> Decision | None:
        """What was cut short first; then by turns a new network, and the frozen one that promises most."""
        if resumed := cut_short(standing, self._rungs):
            return resumed
        if not standing.waiting:
            return Start(self._rungs[0]) if standing.may_start else None
        if standing.trainings_left == 0:
            return Prune(standing.waiting[0].number)
        late = self._is_late(standing)
        if standing.may_start and not late:
            return self._by_turns(standing)
        outlook = self._outlook(standing)
        best = int(np.argmax(outlook.promise))
        record = standing.waiting[best]
        if outlook.hope[best] < self._settings.hope:
            return Prune(standing.waiting[int(np.argmin(outlook.promise))].number)
        return Thaw(record.number, next_rung(record, self._rungs))

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """What trials that stand at a rung, or were given up there, would come to."""
        return Prediction(self._horizon, records.values()).of(
            [r for r in records.values() if r.state in (State.RUNNING, State.PRUNED) and len(r.curve) >= self._rungs[0]]
        )

    def _by_turns(self, standing: Standing) -> Decision:
        """A new network, or the frozen one that promises most."""
        settings, started = self._settings, len(standing.records)
        promoted = promotions(standing, self._rungs)
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
            best = standing.waiting[int(np.argmax(self._outlook(standing).promise))]
        return Thaw(best.number, next_rung(best, self._rungs))

    def _is_late(self, standing: Standing) -> bool:
        """Whether the time that is left is too short for a new network to be finished."""
        if standing.seconds_left is None:
            return False
        known = [full_seconds(r, self._horizon.epochs) for r in standing.records.values() if r.curve]
        return bool(known) and standing.seconds_left < float(np.mean(known))

    def _outlook(self, standing: Standing) -> Outlook:
        """What the frozen trials promise, given what is complete and what is being finished."""
        records = [record for record in standing.records.values() if record.curve]
        expected = Prediction(self._horizon, records).of([r for r in records if r.state == State.RUNNING])
        waiting = {record.number for record in standing.waiting}
        known = [dict(record.values) for record in records if record.values]
        known += [
            dict(expected[record.number].values)
            for record in records
            if record.state == State.RUNNING
            and record.number not in waiting
            and goal_of(record, self._rungs) == self._rungs[-1]
        ]
        return self._weigh(known, standing.waiting, [expected[record.number] for record in standing.waiting])

    def _weigh(
        self, known: Sequence[Mapping[str, float]], frozen: Sequence[Record], expected: Sequence[Expected]
    ) -> Outlook:
        axes = self._horizon.axes
        told = next((axis for axis in axes if axis.name not in self._horizon.costs), axes[0])
        others = [axis for axis in axes if axis is not told]

        def losses(values: Sequence[Mapping[str, float]]) -> tuple[Floats, Floats]:
            rows = [[axis.loss(value[axis.name]) for axis in others] for value in values]
            return (
                np.array([told.loss(value[told.name]) for value in values], dtype=np.float64),
                np.array(rows, dtype=np.float64).reshape(len(values), len(others)),
            )

        ends, costs = losses([outlook.values for outlook in expected])
        worse = [told.loss(outlook.values[told.name] + outlook.deviation) for outlook in expected]
        shifted = np.maximum(ends, 0.0) + SHIFT
        means, deviations = np.log(shifted), np.abs(np.array(worse) - ends) / shifted
        front, front_costs = losses(known)
        improvement = expected_log_improvement(SHIFT)
        gains = expected_hypervolume_improvement(
            box_decomposition(front, front_costs), costs, means, deviations, improvement
        )
        left = [o.seconds - record.seconds for o, record in zip(expected, frozen, strict=True)]
        best = np.log([min(front[(front_costs <= cost).all(axis=1)], default=1.0) + SHIFT for cost in costs])
        return Outlook(gains / np.maximum(left, 1e-9), ndtr((best - means) / np.maximum(deviations, 1e-12)))


@dataclass(frozen=True)
class Outlook:
    """What frozen trials promise.

    Attributes:
        promise: (n,) expected hypervolume improvement for a second of what they still need.
        hope: (n,) probability that no complete network of at most their costs will be as good.
    """

    promise: Floats
    hope: Floats


def make(  # noqa: PLR0913 - each is a setting that a configuration names
    horizon: Horizon,
    *,
    rungs: Sequence[float] = Thawing.rungs,
    start: int = Thawing.start,
    finished: int = Thawing.finished,
    thaws: float = Thawing.thaws,
    eager: float = Thawing.eager,
    hope: float = Thawing.hope,
) -> FreezeThaw:
    """The policy."""
    return FreezeThaw(horizon, Thawing(tuple(rungs), start, finished, thaws, eager, hope))
