"""Acquisition function of the known-cost sampler: expected hypervolume improvement over a power of training seconds.

    α(x) = E[HVI(x)] / seconds(x)^power

E[HVI] is exact given the costs of x (`nas/objectives/expected_improvement.py`). The loss that training measures has
a Gaussian process on a logarithmic scale, the same that the front is believed by (`nas/study/belief/`); seconds are
predicted from the costs (`training_time.py`).
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
)
from nas.objectives.loss_scale import LossScale
from nas.objectives.pareto import Axis, front
from nas.samplers.known_cost.candidates import Network
from nas.samplers.known_cost.training_time import predict_seconds
from nas.study.belief.believer import sampling_deviations
from nas.study.belief.gp import Floats, GaussianProcess, Observations
from nas.study.belief.surrogate import SurrogateFitter, relevant

TIMED_BY = MACS.name


@dataclass(frozen=True)
class Problem:
    """Optimization problem: one objective measured by training, costs known before it, and limits.

    Attributes:
        trained: objective that training measures.
        costs: axes of the objectives that are costs, by the cost's name.
        limits: largest value allowed, by cost.
        validation_images: number of validation images behind a value of an accuracy; None if it is not known.
    """

    trained: Axis
    costs: Mapping[str, Axis]
    limits: Mapping[str, float]
    validation_images: int | None = None

    @property
    def scale(self) -> LossScale:
        """Scale on which the trained objective is modelled."""
        return LossScale.of(self.trained)

    def is_feasible(self, costs: Mapping[str, float]) -> bool:
        """Return whether costs are within the limits."""
        return all(costs[name] <= limit for name, limit in self.limits.items())

    def cost_losses(self, networks: Sequence[Network]) -> Floats:
        """Return the known losses (n, k) of networks, k being the number of objectives that are costs."""
        found = np.empty((len(networks), len(self.costs)))
        for column, (name, axis) in enumerate(self.costs.items()):
            found[:, column] = axis.losses(np.array([network.costs[name] for network in networks], dtype=np.float64))
        return found


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


def log_costs(networks: Sequence[Network]) -> Floats:
    """Return the logarithms to base 10 of all costs (n, c), n at least 1."""
    return np.log10(np.array([list(network.costs.values()) for network in networks], dtype=np.float64))


@dataclass(frozen=True)
class Acquisition:
    """Acquisition function after some trials; `fit_acquisition` makes it.

    Attributes:
        problem: objectives and limits.
        surrogate: posterior of the modelled loss, given the trials; running ones count with their predicted mean.
        networks: networks of those trials.
        losses: (n,) losses that are believed of them, with which they enter the front.
        timed: (m, c) logarithms of the costs of networks whose training was timed.
        seconds: (m,) their training times.
        power: exponent of the predicted seconds.
    """

    problem: Problem
    surrogate: GaussianProcess
    networks: Sequence[Network]
    losses: Floats
    timed: Floats
    seconds: Floats
    power: float

    @cached_property
    def _boxes(self) -> BoxDecomposition:
        return box_decomposition(self.losses, self.problem.cost_losses(self.networks))

    def evaluate(self, candidates: Sequence[Network]) -> Floats:
        """Return the acquisition values (n,) of networks that would be trained from the start."""
        gains = self._improvements(self._boxes, candidates)
        if self.power == 0:
            return gains
        macs = list(candidates[0].costs).index(TIMED_BY) if TIMED_BY in candidates[0].costs else 0
        seconds = predict_seconds(self.timed, self.seconds, log_costs(candidates), macs)
        return gains / seconds**self.power

    def evaluate_frozen(self, frozen: Sequence[Network], seconds: Floats) -> Floats:
        """Return the acquisition values (n,) of training frozen networks to the end, given all other trials.

        Args:
            frozen: the networks, at least one.
            seconds: (n,) seconds that they still need.
        """
        waiting = {network.network_id for network in frozen}
        others = [place for place, network in enumerate(self.networks) if network.network_id not in waiting]
        costs = self.problem.cost_losses([self.networks[place] for place in others])
        gains = self._improvements(box_decomposition(self.losses[others], costs), frozen)
        return gains / np.maximum(seconds, 1e-9) ** self.power

    def front(self) -> list[Network]:
        """Return the networks of the believed front."""
        points = np.column_stack([self.losses, self.problem.cost_losses(self.networks)])
        return [self.networks[index] for index in front(points)]

    def _improvements(self, boxes: BoxDecomposition, candidates: Sequence[Network]) -> Floats:
        """Return the expected hypervolume improvements (n,) under the surrogate."""
        means, deviations = self.surrogate.predict(rows_of(candidates))
        costs = self.problem.cost_losses(candidates)
        return expected_hypervolume_improvement(boxes, costs, means, deviations, self.problem.scale.improvement())


def fit_acquisition(
    problem: Problem, fitter: SurrogateFitter, history: TrialHistory, seconds_power: float
) -> Acquisition:
    """Return the acquisition function after the trials of a history, at least one of them with a value.

    Args:
        problem: objectives and limits.
        fitter: fits the surrogate.
        history: the trials.
        seconds_power: exponent of the predicted seconds.
    """
    measured = history.deviations == 0
    scale, trained = problem.scale, problem.trained
    modelled = scale.modelled(history.losses)
    own = np.abs(scale.modelled(history.losses + history.deviations) - modelled)
    sampled = sampling_deviations(trained, trained.value(history.losses), problem.validation_images)
    observations = Observations(
        rows_of(history.networks), modelled, np.hypot(own, sampled), np.ones(len(history.losses))
    )
    keep = relevant(modelled, problem.cost_losses(history.networks))
    surrogate = fitter.fit(observations, measured if measured.any() else ~measured, keep)
    networks = [history.networks[row] for row in keep]
    losses = scale.losses(surrogate.predict(observations.x[keep])[0])
    if history.running:
        features = rows_of(history.running)
        means = surrogate.predict(features)[0]
        imagined = Observations(features, means, np.zeros(len(means)), np.ones(len(means)))
        surrogate = surrogate.conditioned(imagined)
        networks, losses = [*networks, *history.running], np.concatenate([losses, scale.losses(means)])
    timed = np.isfinite(history.seconds)
    return Acquisition(
        problem, surrogate, networks, losses, log_costs(history.networks)[timed], history.seconds[timed], seconds_power
    )


def rows_of(networks: Sequence[Network]) -> Floats:
    """Return the features (n, f) of networks, at least one."""
    return np.stack([network.row for network in networks])
