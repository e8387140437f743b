"""Acquisition function of the known-cost sampler: expected hypervolume improvement over a power of training seconds.

    α(x) = E[HVI(x)] / seconds(x)^power

E[HVI] is exact given the costs of x (`nas/objectives/expected_improvement.py`). The logarithm of the loss that training
measures has a Gaussian process (`gp.py`); seconds are predicted from the costs (`training_time.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.expected_improvement import (
    BoxDecomposition,
    box_decomposition,
    expected_hypervolume_improvement,
    expected_log_improvement,
)
from nas.objectives.pareto import Axis, front
from nas.samplers.known_cost.candidates import Network
from nas.study.belief.gp import Floats, GaussianProcess, Layout, Observations
from nas.samplers.known_cost.settings import Settings
from nas.samplers.known_cost.training_time import predict_seconds

TIMED_BY = MACS.name

SHIFT = 0.02
"""Added to a loss before its logarithm is taken, which the surrogate models: halving an error of 0.2 is about as hard
as halving one of 0.4."""

IMPROVEMENT = expected_log_improvement(SHIFT)


@dataclass(frozen=True)
class Problem:
    """Optimization problem: one objective measured by training, costs known before it, and limits.

    Attributes:
        trained: objective that training measures.
        costs: axes of the objectives that are costs, by the cost's name.
        limits: largest value allowed, by cost.
    """

    trained: Axis
    costs: Mapping[str, Axis]
    limits: Mapping[str, float]

    def is_feasible(self, costs: Mapping[str, float]) -> bool:
        """Return whether costs are within the limits."""
        return all(costs[name] <= limit for name, limit in self.limits.items())

    def cost_losses(self, networks: Sequence[Network]) -> Floats:
        """Return the known losses (n, k) of networks, k being the number of objectives that are costs."""
        rows = [[axis.loss(network.costs[name]) for name, axis in self.costs.items()] for network in networks]
        return np.array(rows, dtype=np.float64).reshape(len(networks), len(self.costs))


@dataclass(frozen=True)
class TrialHistory:
    """Trials of a study, as networks and losses.

    Attributes:
        numbers: numbers of the n trials that have a value, ascending.
        networks: their networks.
        losses: (n,) their losses on the axis of the trained objective.
        deviations: (n,) standard deviations of the losses, 0 for measured ones.
        seconds: (n,) seconds of their full trainings, NaN if not timed.
        running: networks of the trials that have no value yet.
        drawn: identities of the networks of all trials, failed and pruned ones included.
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
        """Hashable key, equal for histories with the same content."""
        numbers = np.stack([self.losses, self.deviations, self.seconds]).tobytes()
        named = [network.network_id for network in (*self.networks, *self.running)]
        return tuple(self.numbers), numbers, tuple(named), self.drawn


@dataclass(frozen=True)
class FeatureScaler:
    """Features of networks, with costs standardised over random networks of the space.

    Attributes:
        mean: (c,) mean logarithm of each cost.
        deviation: (c,) standard deviation of the logarithm of each cost, positive.
    """

    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, networks: Sequence[Network]) -> FeatureScaler:
        """Return the scaler that standardises the costs of these networks, at least one."""
        logs = log_costs(networks)
        deviation = logs.std(axis=0)
        return cls(logs.mean(axis=0), np.where(deviation > 1e-9, deviation, 1.0))

    def features(self, networks: Sequence[Network]) -> Floats:
        """Return the features (n, f) of networks."""
        rows = np.stack([network.row for network in networks])
        rows[:, -len(self.mean) :] = (rows[:, -len(self.mean) :] - self.mean) / self.deviation
        return rows


def log_costs(networks: Sequence[Network]) -> Floats:
    """Return the logarithms to base 10 of all costs (n, c), n at least 1."""
    return np.log10(np.array([list(network.costs.values()) for network in networks], dtype=np.float64))


@dataclass(frozen=True)
class Acquisition:
    """Acquisition function after some trials; `fit_acquisition` makes it.

    Attributes:
        problem: objectives and limits.
        scaler: makes the features of networks.
        surrogate: posterior of the log loss, given the trials; running ones count with their predicted mean.
        networks: networks of those trials.
        losses: (n,) losses with which they enter the front.
        reference: coordinate of the reference point on the axis of the trained objective.
        timed: (m, c) logarithms of the costs of networks whose training was timed.
        seconds: (m,) their training times.
        power: exponent of the predicted seconds.
    """

    problem: Problem
    scaler: FeatureScaler
    surrogate: GaussianProcess
    networks: Sequence[Network]
    losses: Floats
    reference: float
    timed: Floats
    seconds: Floats
    power: float

    @cached_property
    def _boxes(self) -> BoxDecomposition:
        return box_decomposition(self.losses, self.problem.cost_losses(self.networks), self.reference)

    def evaluate(self, candidates: Sequence[Network]) -> Floats:
        """Return the acquisition values (n,) of networks that would be trained from the start."""
        gains = self._improvements(self._boxes, candidates)
        if self.power == 0:
            return gains
        macs = list(candidates[0].costs).index(TIMED_BY) if TIMED_BY in candidates[0].costs else 0
        seconds = predict_seconds(self.timed, self.seconds, log_costs(candidates), macs)
        return gains / seconds**self.power

    def evaluate_frozen(self, left: Mapping[int, float]) -> dict[int, float]:
        """Return the acquisition values of training frozen trials to the end, given all other trials.

        Args:
            left: seconds that they still need, by their positions in `networks`.
        """
        positions = list(left)
        others = [position for position in range(len(self.networks)) if position not in left]
        costs = self.problem.cost_losses([self.networks[position] for position in others])
        boxes = box_decomposition(self.losses[others], costs, self.reference)
        gains = self._improvements(boxes, [self.networks[position] for position in positions])
        return {p: gain / max(left[p], 1e-9) ** self.power for p, gain in zip(positions, gains.tolist(), strict=True)}

    def front(self) -> list[Network]:
        """Return the networks of the front."""
        points = np.column_stack([self.losses, self.problem.cost_losses(self.networks)])
        return [self.networks[index] for index in front(points)]

    def _improvements(self, boxes: BoxDecomposition, candidates: Sequence[Network]) -> Floats:
        """Return the expected hypervolume improvements (n,) under the surrogate."""
        means, deviations = self.surrogate.predict(self.scaler.features(candidates))
        costs = self.problem.cost_losses(candidates)
        return expected_hypervolume_improvement(boxes, costs, means, deviations, IMPROVEMENT)


def fit_acquisition(
    problem: Problem,
    layout: Layout,
    scaler: FeatureScaler,
    history: TrialHistory,
    settings: Settings,
    reference_networks: Sequence[Network],
) -> Acquisition:
    """Return the acquisition function after the trials of a history, at least one of them with a value.

    Args:
        problem: objectives and limits.
        layout: roles of the features.
        scaler: makes the features of networks.
        history: the trials.
        settings: `seconds_power`, `smooth` and `focus` of the sampler.
        reference_networks: random networks within the limits, whose predicted losses set the reference point.
    """
    shifted = np.maximum(history.losses, 0.0) + SHIFT
    measured = Observations(scaler.features(history.networks), np.log(shifted), history.deviations / shifted)
    surrogate = GaussianProcess.fit(layout, measured)
    networks = list(history.networks)
    losses = _posterior_medians(surrogate, measured.x) if settings.smooth else history.losses
    if history.running:
        features = scaler.features(history.running)
        means = surrogate.predict(features)[0]
        surrogate = surrogate.conditioned(Observations(features, means, np.zeros(len(means))))
        networks, losses = [*networks, *history.running], np.concatenate([losses, np.exp(means) - SHIFT])
    reference = 1.0
    if settings.focus < 1:
        medians = _posterior_medians(surrogate, scaler.features(reference_networks))
        reference = min(1.0, float(np.quantile(medians, settings.focus)))
    timed = np.isfinite(history.seconds)
    return Acquisition(
        problem,
        scaler,
        surrogate,
        networks,
        losses,
        reference,
        log_costs(history.networks)[timed],
        history.seconds[timed],
        settings.seconds_power,
    )


def _posterior_medians(surrogate: GaussianProcess, features: Floats) -> Floats:
    """Return the posterior medians (n,) of losses, whose shifted logarithms are normal."""
    return np.exp(surrogate.predict(features)[0]) - SHIFT
