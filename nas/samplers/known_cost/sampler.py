"""Optuna sampler by expected hypervolume improvement with known costs.

One objective, such as accuracy, is measured by training; the others are costs, known exactly before it. A candidate's
acquisition value (`acquisition.py`) is its exact expected hypervolume improvement given its costs
(`nas/objectives/expected_improvement.py`) under a Gaussian process over networks (`gp.py`), divided by a power of its
predicted training time (`training_time.py`). `optimizer.py` maximises it over the candidates of `candidates.py`, all of
them within the limits and not drawn before.

The first draws fill the range of the logarithm of the cost, on which accuracy depends most. Running trials count with
their predicted losses.

The sampler works in a plain Optuna study too: docs/samplers.md has an example. What it draws depends on the study and
its own generator alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import final

import numpy as np
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.objectives.pareto import Axis
from nas.objectives.requirements import Measure, exact_measure
from nas.samplers.base import DrawingSampler
from nas.samplers.factory import Domain
from nas.samplers.imputation import DEVIATION, SECONDS
from nas.samplers.known_cost.acquisition import Problem, TrialHistory
from nas.samplers.known_cost.candidates import Network
from nas.samplers.known_cost.optimizer import Optimizer
from nas.samplers.known_cost.settings import Settings
from nas.samplers.parameters import Draw
from nas.samplers.view import SamplerFactory
from nas.study.trial import Prospects
from search_space.choices import FirstChooser
from search_space.plugins import with_settings
from search_space.space import Space


@final
class KnownCostSampler(DrawingSampler):
    """Optuna sampler that draws the network with the highest acquisition value.

    A trial's value counts as exact unless the trial has the user attribute `deviation`, its standard deviation. The
    user attribute `seconds` is the time of a full training.
    """

    def __init__(self, optimizer: Optimizer, axes: Sequence[Axis], seed: int | None = None) -> None:
        """Make a sampler; several may share an optimizer, and with it what was measured.

        Args:
            optimizer: suggests networks.
            axes: the study's objectives, in order.
            seed: seed of the draws; None for a random one.
        """
        super().__init__(seed)
        self._optimizer = optimizer
        self._axes = tuple(axes)

    @classmethod
    def for_space(
        cls,
        space: Space,
        axes: Sequence[Axis],
        *,
        limits: Mapping[str, float] | None = None,
        settings: Settings | None = None,
        measure: Measure | None = None,
        seed: int | None = None,
    ) -> KnownCostSampler:
        """Return a sampler for a plain Optuna study.

        Args:
            space: space to search; a trial makes its choices through `nas.samplers.parameters.TrialChooser`.
            axes: the study's objectives, in order. Those named like a cost are known; the first other one is measured
                by trials, on its axis' own scale (its logarithm to base 10 on a logarithmic axis).
            limits: largest value allowed, by cost.
            settings: settings of the sampler; None for the defaults.
            measure: returns a network's identity and costs by name; None for exact params, macs and memory_mib.
            seed: seed of the draws; None for a random one.

        Raises:
            ValueError: all objectives are costs.
        """
        measure = measure or exact_measure()
        _, costs = measure(space.sample(FirstChooser()))
        problem = problem_of(axes, {name: name for name in costs}, limits or {})
        return cls(Optimizer(space, measure, problem, settings or Settings()), axes, seed)

    def draw(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Draw:
        """Draw the network that the optimizer suggests."""
        networks = self._optimizer.networks
        network = self._optimizer.suggest(self._history(study, trial), generator)
        draw = Draw.of(networks.space, network.architecture)
        networks.remember(draw.params, network)
        return draw

    def prospects(self, study: Study, left: Mapping[int, float]) -> Prospects | None:
        """Return the acquisition values of the next draw and of continuing frozen trials.

        Args:
            study: the study.
            left: seconds that the frozen trials still need, by their numbers.

        Returns:
            None during the space-filling start, and if no new network is left.
        """
        return self._optimizer.prospects(self._history(study, None), left, self._generator)

    def _history(self, study: Study, asked: FrozenTrial | None) -> TrialHistory:
        """Return the trials of a study, but for the one that is being asked for."""
        trained = self._optimizer.problem.trained
        index = self._axes.index(trained)
        valued: list[tuple[Network, int, float, float, float]] = []
        running, drawn = [], set()
        for trial in study.get_trials(deepcopy=False):
            network = self._optimizer.networks.from_params(trial.params)
            if network is None or (asked is not None and trial.number == asked.number):
                continue
            drawn.add(network.network_id)
            if trial.state == TrialState.RUNNING:
                running.append(network)
            elif trial.state == TrialState.COMPLETE and math.isfinite(trial.values[index]):
                loss = trained.loss_of_scaled(trial.values[index])
                shifted = trained.loss_of_scaled(trial.user_attrs.get(DEVIATION, 0.0))
                deviation = abs(shifted - trained.loss_of_scaled(0.0))
                valued.append((network, trial.number, loss, deviation, trial.user_attrs.get(SECONDS, math.nan)))
        numbers, networks = [row[1] for row in valued], [row[0] for row in valued]
        columns = np.array([row[2:] for row in valued], dtype=np.float64).reshape(len(valued), 3)
        losses, deviations, seconds = columns.T
        return TrialHistory(numbers, networks, losses, deviations, seconds, running, frozenset(drawn))


def problem_of(axes: Sequence[Axis], costs: Mapping[str, str], limits: Mapping[str, float]) -> Problem:
    """Return the optimization problem of a study; of several objectives measured by training, the first one counts.

    Args:
        axes: its objectives.
        costs: name of the cost that an axis stands for, by the axis' name, for those that do.
        limits: largest value allowed, by cost.

    Raises:
        ValueError: all objectives are costs.
    """
    trained = [axis for axis in axes if axis.name not in costs]
    if not trained:
        names = ", ".join(axis.name for axis in axes)
        raise ValueError(f"known_cost needs an objective that is measured by training, got {names}")
    return Problem(trained[0], {costs[axis.name]: axis for axis in axes if axis.name in costs}, dict(limits))


@with_settings(Settings)
def make(domain: Domain, settings: Settings) -> SamplerFactory:
    """Return the factory of samplers, which share one optimizer."""
    problem = problem_of(domain.axes, domain.costs, domain.limits.by_cost)
    return partial(_seeded, Optimizer(domain.space, domain.measure, problem, settings, domain.fits), domain.axes)


def _seeded(optimizer: Optimizer, axes: Sequence[Axis], seed: int) -> BaseSampler:
    return KnownCostSampler(optimizer, axes, seed)
