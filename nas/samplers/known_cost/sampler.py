"""Known-cost expected hypervolume improvement: draw what promises most for a second of training.

One objective, such as accuracy, is told by training alone; the others are costs, known exactly beforehand. So a
candidate is weighed by the *exact* expected hypervolume improvement given its costs
(`nas/objectives/expected_improvement.py`), under a Gaussian process over networks (`gp.py`), divided by a power of the
seconds that its training will take. Candidates come by the thousand, within the limits, and none of a network that was
drawn before.

The first draws are spread evenly over the logarithm of the cost, which is what accuracy depends on most. Trials that
still run are taken to end as they are expected to.

It is an Optuna sampler, which works in a plain study too: docs/samplers.md has an example. What it draws follows from
the study and its own generator alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, final

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.objectives.pareto import Axis
from nas.samplers.factory import Domain
from nas.samplers.imputation import DEVIATION, SECONDS
from nas.samplers.known_cost.acquisition import Goal, Seen
from nas.samplers.known_cost.candidates import Measure, Network, exact_measure
from nas.samplers.known_cost.optimizer import Adviser, Tuning
from nas.samplers.parameters import ParameterNotes
from nas.samplers.view import SamplerFactory
from nas.study.trial import Prospects
from search_space.choices import FirstChooser
from search_space.space import Space


@final
class KnownCostSampler(BaseSampler):
    """Draws what promises most for a second of training.

    A trial's value counts as measured, unless its user attribute `deviation` says how doubtful it is. Its user
    attribute `seconds` says what a full training takes.
    """

    def __init__(
        self,
        space: Space,
        axes: Sequence[Axis],
        *,
        limits: Mapping[str, float] | None = None,
        tuning: Tuning | None = None,
        measure: Measure | None = None,
        seed: int | None = None,
    ) -> None:
        """Begin a series of draws.

        Args:
            space: what to draw from; a trial makes its choices through `nas.samplers.parameters.TrialChooser`.
            axes: the study's objectives in order. Those named like a cost are known; the first other is told by
                trials, on its axis' own scale (as its logarithm to base 10 where that is logarithmic).
            limits: the largest value allowed, by cost.
            tuning: settings; None for the usual ones.
            measure: tells a network's identity and its costs by name; None for exact params, macs and memory_mib.
            seed: seeds the draws; None for draws that nobody can tell.

        Raises:
            ValueError: none of the objectives is told by training.
        """
        measure = measure or exact_measure()
        _, costs = measure(space.sample(FirstChooser()))
        self._axes = tuple(axes)
        goal = goal_of(axes, {name: name for name in costs}, limits or {})
        self._adviser = Adviser(space, measure, goal, tuning or Tuning(), lambda architecture: True)  # noqa: ARG005
        self._begin(seed)

    @classmethod
    def sharing(cls, adviser: Adviser, axes: Sequence[Axis], seed: int) -> KnownCostSampler:
        """A sampler that shares what is known of networks with others, and no draw."""
        made = cls.__new__(cls)
        made._axes, made._adviser = tuple(axes), adviser
        made._begin(seed)
        return made

    def _begin(self, seed: int | None) -> None:
        self._generator = random.Random(seed)
        self._plain = RandomSampler(seed)
        self._taken: dict[int, dict[str, Any]] = {}

    def reseed_rng(self) -> None:
        """Begin a new series of draws, which nobody can tell."""
        self._begin(None)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that make the candidate, which is chosen here."""
        if "fixed_params" in trial.system_attrs:  # enqueued: it is chosen already
            return {}
        space = self._adviser.networks.space
        network = self._adviser.advise(self._seen(study, trial), self._generator)
        notes = ParameterNotes(space.assignments(network.architecture))
        space.sample(notes)
        self._taken[trial.number] = dict(notes.params)
        return notes.distributions

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002 - the candidate was chosen with its parameters
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - as above
    ) -> dict[str, Any]:
        """The values of those parameters."""
        return self._taken.pop(trial.number, {})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, for a parameter that the candidate does not have."""
        return self._plain.sample_independent(study, trial, param_name, param_distribution)

    def prospects(self, study: Study, left: Mapping[int, float]) -> Prospects | None:
        """What the next draw promises, and going on with trials that wait half trained.

        Args:
            study: the study.
            left: seconds that these trials still need, by their numbers.

        Returns:
            None before enough is known to say.
        """
        return self._adviser.prospects(self._seen(study, None), left, self._generator)

    def _seen(self, study: Study, asked: FrozenTrial | None) -> Seen:
        told = self._adviser.goal.told
        place = self._axes.index(told)
        valued: list[tuple[Network, int, float, float, float]] = []
        running, drawn = [], set()
        for trial in study.get_trials(deepcopy=False):
            network = self._adviser.networks.of_params(trial.params)
            if network is None or (asked is not None and trial.number == asked.number):
                continue
            drawn.add(network.network_id)
            if trial.state == TrialState.RUNNING:
                running.append(network)
            elif trial.state == TrialState.COMPLETE and math.isfinite(trial.values[place]):
                loss = told.loss_of_scaled(trial.values[place])
                deviation = abs(told.loss_of_scaled(trial.user_attrs.get(DEVIATION, 0.0)) - told.loss_of_scaled(0.0))
                seconds = trial.user_attrs.get(SECONDS, math.nan)
                valued.append((network, trial.number, loss, deviation, seconds))
        told_of = np.array([row[2:] for row in valued], dtype=np.float64).reshape(len(valued), 3)
        numbers, networks = [row[1] for row in valued], [row[0] for row in valued]
        losses, deviations, clocked = told_of.T
        return Seen(numbers, networks, losses, deviations, clocked, running, frozenset(drawn))


def goal_of(axes: Sequence[Axis], costs: Mapping[str, str], limits: Mapping[str, float]) -> Goal:
    """What a study looks for; of several objectives that training tells, the first one.

    Args:
        axes: its objectives.
        costs: the cost that an axis stands for, by the axis' name, for those that do.
        limits: the largest value allowed, by cost.

    Raises:
        ValueError: none of the objectives is told by training.
    """
    told = [axis for axis in axes if axis.name not in costs]
    if not told:
        names = ", ".join(axis.name for axis in axes)
        raise ValueError(f"known_cost needs an objective that training tells, got {names}")
    return Goal(told[0], {costs[axis.name]: axis for axis in axes if axis.name in costs}, dict(limits))


def make(  # noqa: PLR0913 - each is a setting that a configuration names
    domain: Domain,
    *,
    start: int = Tuning.start,
    seconds_power: float = Tuning.seconds_power,
    pool: int = Tuning.pool,
    changes: int = Tuning.changes,
    smooth: bool = Tuning.smooth,
    focus: float = Tuning.focus,
) -> SamplerFactory:
    """The sampler, made anew for each ask, all of which share what is known of networks. `Tuning` has the rest."""
    goal = goal_of(domain.axes, domain.costs, domain.limits.by_cost())
    tuning = Tuning(start, seconds_power, pool, changes, smooth, focus)
    return partial(_seeded, Adviser(domain.space, exact_measure(), goal, tuning, domain.fits), domain.axes)


def _seeded(adviser: Adviser, axes: Sequence[Axis], seed: int) -> BaseSampler:
    return KnownCostSampler.sharing(adviser, axes, seed)
