"""What networks promise, from the trials seen so far: expected hypervolume improvement for a second of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas.objectives.expected_improvement import Cells, cells, expected_hypervolume_improvement, expected_log_improvement
from nas.objectives.pareto import Axis, front
from nas.samplers.known_cost.candidates import Network
from nas.samplers.known_cost.gp import Floats, Layout, Observations, Process, learn
from nas.samplers.known_cost.training_time import predicted_seconds

TIMED_BY = "macs"

SHIFT = 0.02
"""Added to a loss before its logarithm is taken, which the surrogate models: halving an error of 0.2 is about as hard
as halving one of 0.4."""

IMPROVEMENT = expected_log_improvement(SHIFT)


@dataclass(frozen=True)
class Goal:
    """What is looked for.

    Attributes:
        told: the objective that training tells.
        known: axes of the objectives that are costs, by the cost's name.
        limits: the largest value allowed, by cost.
    """

    told: Axis
    known: Mapping[str, Axis]
    limits: Mapping[str, float]

    def within(self, costs: Mapping[str, float]) -> bool:
        """Whether costs are within the limits."""
        return all(costs[name] <= limit for name, limit in self.limits.items())

    def losses(self, networks: Sequence[Network]) -> Floats:
        """Known losses (n, k) of networks, k being the number of objectives that are costs."""
        rows = [[axis.loss(network.costs[name]) for name, axis in self.known.items()] for network in networks]
        return np.array(rows, dtype=np.float64).reshape(len(networks), len(self.known))


@dataclass(frozen=True)
class Seen:
    """The trials of a study as the adviser understands them.

    Attributes:
        numbers: of the trials with a value, ascending.
        networks: theirs.
        losses: (n,) their losses on the axis that training tells.
        deviations: (n,) what is doubtful about those, 0 for nothing.
        seconds: (n,) seconds of full trainings of them, NaN where nobody clocked any.
        running: of the trials that have no value yet.
        drawn: identities of all networks that were drawn, these and others.
    """

    numbers: Sequence[int]
    networks: Sequence[Network]
    losses: Floats
    deviations: Floats
    seconds: Floats
    running: Sequence[Network]
    drawn: frozenset[str]

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for trials that tell the same."""
        numbers = np.stack([self.losses, self.deviations, self.seconds]).tobytes()
        named = [network.network_id for network in (*self.networks, *self.running)]
        return tuple(self.numbers), numbers, tuple(named), self.drawn


@dataclass(frozen=True)
class Scale:
    """Makes features of networks, costs being on the scale of what the space has.

    Attributes:
        centre: (c,) mean logarithm of each cost.
        spread: (c,) its standard deviation, positive.
    """

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, networks: Sequence[Network]) -> Scale:
        """The scale of some networks, at least one."""
        logs = log_costs(networks)
        spread = logs.std(axis=0)
        return cls(logs.mean(axis=0), np.where(spread > 1e-9, spread, 1.0))

    def rows(self, networks: Sequence[Network]) -> Floats:
        """Features (n, f) of networks."""
        rows = np.stack([network.row for network in networks])
        rows[:, -len(self.centre) :] = (rows[:, -len(self.centre) :] - self.centre) / self.spread
        return rows


def log_costs(networks: Sequence[Network]) -> Floats:
    """Logarithms to base 10 of all costs (n, c), n at least 1."""
    return np.log10(np.array([list(network.costs.values()) for network in networks], dtype=np.float64))


@dataclass(frozen=True)
class Promise:
    """What is expected of networks after some trials.

    Attributes:
        goal: what is looked for.
        scale: makes features of networks.
        process: the surrogate of the loss that training tells, running trials included as they are expected to end.
        networks: the networks of those trials.
        losses: (n,) what they count with.
        reference: the loss from which on a network counts for nothing.
        clocked: (m, c) logarithms of the costs of trainings that were clocked.
        seconds: (m,) what they took.
        power: power of the seconds that an improvement is divided by.
    """

    goal: Goal
    scale: Scale
    process: Process
    networks: Sequence[Network]
    losses: Floats
    reference: float
    clocked: Floats
    seconds: Floats
    power: float

    @cached_property
    def _cells(self) -> Cells:
        return cells(self.losses, self.goal.losses(self.networks), self.reference)

    def of(self, networks: Sequence[Network]) -> Floats:
        """Expected hypervolume improvement (n,) of networks for a second to this power."""
        means, deviations = self.process.predict(self.scale.rows(networks))
        costs = self.goal.losses(networks)
        gains = expected_hypervolume_improvement(self._cells, costs, means, deviations, IMPROVEMENT)
        if self.power == 0:
            return gains
        macs = list(networks[0].costs).index(TIMED_BY) if TIMED_BY in networks[0].costs else 0
        seconds = predicted_seconds(self.clocked, self.seconds, log_costs(networks), macs)
        return gains / seconds**self.power

    def of_unfinished(self, left: Mapping[int, float]) -> dict[int, float]:
        """What going on with some of the networks to their ends promises, beside what others have come to.

        Args:
            left: seconds that they still need, by their places in `networks`.
        """
        places = list(left)
        others = [place for place in range(len(self.networks)) if place not in left]
        networks = [self.networks[place] for place in places]
        known = cells(self.losses[others], self.goal.losses([self.networks[p] for p in others]), self.reference)
        means, deviations = self.process.predict(self.scale.rows(networks))
        costs = self.goal.losses(networks)
        gains = expected_hypervolume_improvement(known, costs, means, deviations, IMPROVEMENT)
        return {p: gain / max(left[p], 1e-9) ** self.power for p, gain in zip(places, gains.tolist(), strict=True)}

    def front(self) -> list[Network]:
        """The networks that no other of these dominates."""
        points = np.column_stack([self.losses, self.goal.losses(self.networks)])
        return [self.networks[index] for index in front(points)]


@dataclass(frozen=True)
class Weighing:
    """How promises are weighed.

    Attributes:
        power: power of the seconds that an improvement is divided by, at least 0.
        smooth: whether trials count with what the surrogate thinks of them instead of with what was measured.
        focus: a network counts if it is better than the worst of this share of random ones, the best of them; in
            (0, 1], 1 for all networks.
    """

    power: float
    smooth: bool
    focus: float


def promise(
    goal: Goal, layout: Layout, scale: Scale, seen: Seen, weighing: Weighing, usual: Sequence[Network]
) -> Promise:
    """What is expected after the trials of `seen`, at least one with a value.

    Args:
        goal: what is looked for.
        layout: what the features are.
        scale: makes features of networks.
        seen: the trials.
        weighing: how promises are weighed.
        usual: random networks within the limits.
    """
    shifted = np.maximum(seen.losses, 0.0) + SHIFT
    told = Observations(scale.rows(seen.networks), np.log(shifted), seen.deviations / shifted)
    process = Process(layout, learn(layout, told), told, *told.scale)
    networks, losses = list(seen.networks), _median(process, told.x) if weighing.smooth else seen.losses
    if seen.running:
        rows = scale.rows(seen.running)
        expected = process.predict(rows)[0]
        joined = told.joined(Observations(rows, expected, np.zeros(len(expected))))
        process = Process(layout, process.hyper, joined, process.centre, process.spread)
        networks, losses = [*networks, *seen.running], np.concatenate([losses, np.exp(expected) - SHIFT])
    reference = 1.0
    if weighing.focus < 1:
        reference = min(1.0, float(np.quantile(_median(process, scale.rows(usual)), weighing.focus)))
    timed = np.isfinite(seen.seconds)
    clocked, seconds = log_costs(seen.networks)[timed], seen.seconds[timed]
    return Promise(goal, scale, process, networks, losses, reference, clocked, seconds, weighing.power)


def _median(process: Process, rows: Floats) -> Floats:
    """Medians of the losses that are expected of networks."""
    return np.exp(process.predict(rows)[0]) - SHIFT
