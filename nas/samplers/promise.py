"""What networks promise, from the trials seen so far: expected hypervolume improvement for a second of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas.improvement import Cells, cells, expected_hypervolume_improvement
from nas.pareto import Axis, front
from nas.samplers.duration import predicted_seconds
from nas.samplers.networks import Network
from nas.samplers.surrogate import Floats, Layout, Observations, Process, learn

TIMED_BY = "macs"


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
        networks: of the trials with a value, in order of their numbers.
        losses: (n,) their losses on the axis that training tells.
        deviations: (n,) what is doubtful about those, 0 for nothing.
        seconds: (n,) seconds of full trainings of them, NaN where nobody clocked any.
        running: of the trials that have no value yet.
        drawn: identities of all networks that were drawn, these and others.
    """

    networks: Sequence[Network]
    losses: Floats
    deviations: Floats
    seconds: Floats
    running: Sequence[Network]
    drawn: frozenset[str]


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
        clocked: (m, c) logarithms of the costs of trainings that were clocked.
        seconds: (m,) what they took.
        power: power of the seconds that an improvement is divided by.
    """

    goal: Goal
    scale: Scale
    process: Process
    networks: Sequence[Network]
    losses: Floats
    clocked: Floats
    seconds: Floats
    power: float

    @cached_property
    def _cells(self) -> Cells:
        return cells(self.losses, self.goal.losses(self.networks))

    def of(self, networks: Sequence[Network]) -> Floats:
        """Expected hypervolume improvement (n,) of networks for a second to this power."""
        means, deviations = self.process.predict(self.scale.rows(networks))
        gains = expected_hypervolume_improvement(self._cells, self.goal.losses(networks), means, deviations)
        if self.power == 0:
            return gains
        macs = list(networks[0].costs).index(TIMED_BY) if TIMED_BY in networks[0].costs else 0
        seconds = predicted_seconds(self.clocked, self.seconds, log_costs(networks), macs)
        return gains / seconds**self.power

    def front(self) -> list[Network]:
        """The networks that no other of these dominates."""
        points = np.column_stack([self.losses, self.goal.losses(self.networks)])
        return [self.networks[index] for index in front(points)]


def promise(goal: Goal, scale: Scale, layout: Layout, seen: Seen, *, power: float, smooth: bool) -> Promise:
    """What is expected after the trials of `seen`, at least one with a value.

    Args:
        goal: what is looked for.
        scale: makes features of networks.
        layout: what the features are.
        seen: the trials.
        power: power of the seconds that an improvement is divided by.
        smooth: whether trials count with what the surrogate thinks of them instead of with what was measured.
    """
    told = Observations(scale.rows(seen.networks), seen.losses, seen.deviations)
    process = Process(layout, learn(layout, told), told, *told.scale)
    networks, losses = list(seen.networks), process.predict(told.x)[0] if smooth else seen.losses
    if seen.running:
        rows = scale.rows(seen.running)
        expected = process.predict(rows)[0]
        joined = told.joined(Observations(rows, expected, np.zeros(len(expected))))
        process = Process(layout, process.hyper, joined, process.centre, process.spread)
        networks, losses = [*networks, *seen.running], np.concatenate([losses, expected])
    timed = np.isfinite(seen.seconds)
    logs = log_costs(seen.networks)[timed]
    return Promise(goal, scale, process, networks, losses, logs, seen.seconds[timed], power)
