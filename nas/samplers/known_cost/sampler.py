"""Optuna sampler by expected hypervolume improvement with known costs.

One objective, such as accuracy, is measured by training; the others are costs, known exactly before it. A candidate's
acquisition value (`acquisition.py`) is its exact expected hypervolume improvement given its costs
(`nas/objectives/expected_improvement.py`) under a Gaussian process over networks (`gp.py`), divided by a power of its
predicted training time (`training_time.py`). `optimizer.py` maximises it over the candidates of `candidates.py`, all of
them within the limits and not drawn before.

The first draws fill the range of the logarithm of the cost, on which accuracy depends most. Running trials count with
their predicted losses.

The sampler works in a plain Optuna study too: docs/samplers.md has an example. What it draws depends on the study and
its seed alone.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, final

import numpy as np
from optuna.exceptions import TrialPruned
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
from nas.samplers.view import SamplerFactory
from nas.study.parameters import Draw
from nas.study.trial import Expected, Prospects
from search_space.choices import FirstChooser
from search_space.plugins import with_settings
from search_space.space import Space

ENUMERABLE = 10_000
"""Networks of a space up to which a plain study looks at every one before it ends for want of a new one."""

CLAIMS = 10
"""Draws of a trial in a plain study until one is no other process' draw."""

log = logging.getLogger(__name__)


class ExhaustedError(TrialPruned):
    """Every network of the space within the limits has been drawn in a plain study, so that it ends."""


@dataclass(frozen=True)
class PlainStudy:
    """Everything that a sampler for a plain Optuna study is made of.

    Attributes:
        space: space to search.
        axes: the study's objectives, in order.
        limits: largest value allowed, by cost.
        settings: settings of the sampler.
        measure: returns a network's identity and costs by name; None for exact params, macs and memory_mib.
    """

    space: Space
    axes: tuple[Axis, ...]
    limits: Mapping[str, float]
    settings: Settings
    measure: Measure | None

    def optimizer(self) -> Optimizer:
        """Return a new optimizer.

        Raises:
            ValueError: all objectives are costs.
        """
        measure = self.measure or exact_measure()
        _, costs = measure(self.space.sample(FirstChooser()))
        problem = problem_of(self.axes, {name: name for name in costs}, self.limits)
        return Optimizer(self.space, measure, problem, self.settings)

    def check(self, study: Study) -> None:
        """Refuse a study with other objectives.

        Raises:
            ValueError: such a study.
        """
        wanted = [axis.direction for axis in self.axes]
        found = [direction.name.lower() for direction in study.directions]
        if wanted != found:
            raise ValueError(f"a study's directions must be those of the axes, {wanted}, got {found}")


@final
class KnownCostSampler(DrawingSampler):
    """Optuna sampler that draws the network with the highest acquisition value.

    A trial's value counts as exact unless the trial has the user attribute `deviation`, its standard deviation. The
    user attribute `seconds` is the time of a full training.

    In a plain study, a draw is a function of the study's trials, the seed and the number of the new trial, so that a
    study that is loaded again goes on as an unbroken one; no network is drawn twice; and a space that is used up stops
    the study.
    """

    def __init__(
        self, optimizer: Optimizer, axes: Sequence[Axis], seed: int | None = None, plain: PlainStudy | None = None
    ) -> None:
        """Make a sampler; several may share an optimizer, and with it what was measured.

        Args:
            optimizer: suggests networks.
            axes: the study's objectives, in order.
            seed: seed of the draws; None for a random one.
            plain: what `optimizer` was made of, for a plain study, whose values are raw; None for the view of a search,
                whose values are on the scales of the axes.
        """
        super().__init__(seed)
        self._optimizer = optimizer
        self._axes = tuple(axes)
        self._plain = plain
        self._expected: Mapping[int, Expected] = {}

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
            space: space to search; a trial makes its choices through `nas.study.parameters.TrialChooser`.
            axes: the study's objectives, in order. Those named like a cost are known; the first other one is measured
                by trials. Trials return raw values, on a logarithmic axis too.
            limits: largest value allowed, by cost.
            settings: settings of the sampler; None for the defaults.
            measure: returns a network's identity and costs by name; None for exact params, macs and memory_mib.
            seed: seed of the draws; None for a random one.

        Raises:
            ValueError: all objectives are costs.
        """
        plain = PlainStudy(space, tuple(axes), dict(limits or {}), settings or Settings(), measure)
        return cls(plain.optimizer(), axes, seed, plain)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if self._plain is not None:  # the optimizer follows from it, and holds caches
            del state["_optimizer"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self._plain is not None:
            self._optimizer = self._plain.optimizer()

    def draw(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Draw:
        """Draw the network that the optimizer suggests.

        Raises:
            ExhaustedError: a plain study has drawn every network within the limits.
            ValueError: a plain study has other objectives, or a value that its axis can't have.
        """
        history = self._history(study, trial)
        if self._plain is None:
            return self._draw_of(self._optimizer.suggest(history, generator))
        network = self._suggest(history, self._generator_of(trial.number)) or self._stop(study, history)
        return self._claimed(study, trial, network)

    def _draw_of(self, network: Network) -> Draw:
        draw = Draw.of(self._optimizer.networks.space, network.architecture)
        self._optimizer.networks.remember(draw.params, network)
        return draw

    def _suggest(self, history: TrialHistory, generator: random.Random) -> Network | None:
        """Return a new network within the limits for a plain study, None if there is none."""
        network = self._optimizer.suggest(history, generator)
        return network if self._is_new(network, history) else self._left_over(history)

    def _claimed(self, study: Study, trial: FrozenTrial, network: Network) -> Draw:
        """Return the draw of a network, or of another one if another process has drawn it at the same time.

        A claim is stored before the other claims are read, so at least one of two processes sees the other's.
        """
        draw = self._draw_of(network)
        for attempt in range(1, CLAIMS + 1):
            self.claim(study, trial, draw)
            history = self._history(study, trial)
            if network.network_id not in history.drawn:
                break
            other = self._suggest(history, random.Random(f"{self._root}:{trial.number}:{attempt}"))
            if other is None:  # better trained twice than not at all
                break
            network, draw = other, self._draw_of(other)
        return draw

    def prospects(self, study: Study, left: Mapping[int, float]) -> Prospects | None:
        """Return the acquisition values of the next draw and of continuing frozen trials.

        Args:
            study: the study.
            left: seconds that the frozen trials still need, by their numbers.

        Returns:
            None during the space-filling start, and if no new network is left.
        """
        generator = self._generator if self._plain is None else self._generator_of(len(study.get_trials(False)))
        return self._optimizer.prospects(self._history(study, None), left, generator)

    def expect(self, expected: Mapping[int, Expected]) -> None:
        """Take these predictions for the results of unfinished and pruned trials of a plain study from now on.

        Args:
            expected: predicted results, raw, by the trials' numbers.
        """
        self._expected = dict(expected)

    def _generator_of(self, number: int) -> random.Random:
        """Return the source of randomness of a trial's draw in a plain study."""
        return random.Random(f"{self._root}:{number}")

    def _is_new(self, network: Network, history: TrialHistory) -> bool:
        return network.network_id not in history.drawn and self._optimizer.problem.is_feasible(network.costs)

    def _left_over(self, history: TrialHistory) -> Network | None:
        """Return a new network within the limits of a space that is small enough to look at every one."""
        networks = self._optimizer.networks
        if networks.space.size > ENUMERABLE:
            return None
        every = (networks.network(architecture) for architecture in networks.space.architectures())
        return next((network for network in every if self._is_new(network, history)), None)

    def _stop(self, study: Study, history: TrialHistory) -> NoReturn:
        """Stop the study, and prune the trial that asked before it is trained."""
        message = f"no new network within the limits is left after {len(history.drawn)} different ones: the study ends"
        log.warning(message)
        with suppress(RuntimeError):  # there is no loop to stop in an ask-and-tell program, which gets the exception
            study.stop()
        raise ExhaustedError(message)

    def _history(self, study: Study, asked: FrozenTrial | None) -> TrialHistory:
        """Return the trials of a study, but for the one that is being asked for."""
        if self._plain is not None:
            self._plain.check(study)
        valued: list[tuple[Network, int, float, float, float]] = []
        running, drawn = [], set()
        for trial in study.get_trials(deepcopy=False):
            if asked is not None and trial.number == asked.number:
                continue
            network = self._optimizer.networks.from_params(self.params_of(study, trial))
            if network is None:
                continue
            drawn.add(network.network_id)
            if (result := self._result(trial)) is not None:
                valued.append((network, trial.number, *result))
            elif not trial.state.is_finished():
                running.append(network)
        numbers, networks = [row[1] for row in valued], [row[0] for row in valued]
        columns = np.array([row[2:] for row in valued], dtype=np.float64).reshape(len(valued), 3)
        losses, deviations, seconds = columns.T
        return TrialHistory(numbers, networks, losses, deviations, seconds, running, frozenset(drawn))

    def _result(self, trial: FrozenTrial) -> tuple[float, float, float] | None:
        """Return the loss of a trial, its standard deviation and its seconds, measured or expected; None if neither."""
        trained = self._optimizer.problem.trained
        if trial.state == TrialState.COMPLETE:
            value, attrs = trial.values[self._axes.index(trained)], trial.user_attrs
            if not math.isfinite(value):
                return None
            return (*self._loss(trial.number, value, attrs.get(DEVIATION, 0.0)), attrs.get(SECONDS, math.nan))
        outlook = self._expected.get(trial.number)
        if outlook is None:
            return None
        return (*self._loss(trial.number, outlook.values[trained.name], outlook.deviation), outlook.seconds)

    def _loss(self, trial: int, value: float, deviation: float) -> tuple[float, float]:
        """Return the loss of a trial's value, and its standard deviation."""
        axis = self._optimizer.problem.trained
        if self._plain is None:
            return axis.loss_of_scaled(value), abs(axis.loss_of_scaled(deviation) - axis.loss_of_scaled(0.0))
        if axis.log and value <= 0:
            raise ValueError(
                f"a raw value on a logarithmic axis must be positive, got {axis.name}={value} in trial {trial}"
            )
        return axis.loss(value), abs(axis.loss(value + deviation) - axis.loss(value))


def problem_of(
    axes: Sequence[Axis], costs: Mapping[str, str], limits: Mapping[str, float], validation_images: int | None = None
) -> Problem:
    """Return the optimization problem of a study; of several objectives measured by training, the first one counts.

    Args:
        axes: its objectives.
        costs: name of the cost that an axis stands for, by the axis' name, for those that do.
        limits: largest value allowed, by cost.
        validation_images: number of images that a network is validated on; None if it is not known.

    Raises:
        ValueError: all objectives are costs.
    """
    trained = [axis for axis in axes if axis.name not in costs]
    if not trained:
        names = ", ".join(axis.name for axis in axes)
        raise ValueError(f"known_cost needs an objective that is measured by training, got {names}")
    return Problem(
        trained[0], {costs[axis.name]: axis for axis in axes if axis.name in costs}, dict(limits), validation_images
    )


@with_settings(Settings)
def make(domain: Domain, settings: Settings) -> SamplerFactory:
    """Return the factory of samplers, which share one optimizer."""
    problem = problem_of(domain.axes, domain.costs, domain.limits.by_cost, domain.validation_images)
    optimizer = Optimizer(domain.space, domain.measure, problem, settings, domain.fits, domain.prior)
    return partial(_seeded, optimizer, domain.axes)


def _seeded(optimizer: Optimizer, axes: Sequence[Axis], seed: int) -> BaseSampler:
    return KnownCostSampler(optimizer, axes, seed)
