"""Base of samplers that draw whole architectures: the parameters of a trial follow from the architecture."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any, final

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.study.parameters import Draw
from search_space.architecture import Architecture
from search_space.space import Space

CLAIMED = "nas:drawn"
"""System attribute of a trial: the parameters that were drawn for it."""

Choose = Callable[[Study, FrozenTrial, random.Random], Architecture]
"""Function that chooses a normalised architecture of the space for a new trial."""


class DrawingSampler(BaseSampler, ABC):
    """Optuna sampler that draws an architecture, and then suggests the parameters that make it.

    A study may ask in several threads (`n_jobs`). They draw one after the other, and a draw counts from then on,
    although Optuna stores its parameters one by one as the trial suggests them.
    """

    def __init__(self, seed: int | None) -> None:
        """Make a sampler.

        Args:
            seed: seed of the draws; None for a random one.
        """
        self._lock = RLock()
        self._pending: dict[tuple[str, int], Draw] = {}
        self._last: tuple[int, Draw | None] = (-1, None)
        self._seed(seed)

    def _seed(self, seed: int | None) -> None:
        self._root = random.SystemRandom().getrandbits(32) if seed is None else seed
        self._generator = random.Random(self._root)
        self._independent = RandomSampler(self._root)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_lock", "_pending")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock(), _pending={})

    @abstractmethod
    def draw(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Draw:
        """Draw the architecture of a new trial.

        Args:
            study: the study.
            trial: the new trial, without parameters yet.
            generator: source of randomness.
        """

    @final
    def reseed_rng(self) -> None:
        """Seed the draws anew, at random."""
        with self._lock:
            self._seed(None)

    @final
    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Draw an architecture, and return the distributions of its parameters."""
        if "fixed_params" in trial.system_attrs:  # enqueued: its parameters are fixed already
            return {}
        with self._lock:
            draw = self.draw(study, trial, self._generator)
            self._pending[study.study_name, trial.number] = draw
        return dict(draw.distributions)

    @final
    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - the architecture was drawn with its distributions
    ) -> dict[str, Any]:
        """Return the parameters of the drawn architecture."""
        draw = self._pending.get((study.study_name, trial.number))
        self._last = (trial.number, draw)
        return {} if draw is None else dict(draw.params)

    @final
    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value for a parameter that the architecture does not have."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    @final
    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,  # noqa: ARG002 - its parameters are stored, whatever became of it
        values: Sequence[float] | None,  # noqa: ARG002 - as above
    ) -> None:
        """Forget the draw of a trial that has ended."""
        with self._lock:
            self._pending.pop((study.study_name, trial.number), None)

    @final
    def params_of(self, study: Study, trial: FrozenTrial) -> Mapping[str, Any]:
        """Return the parameters of a trial, including those that are drawn, here or in another process, or enqueued.

        Args:
            study: the study.
            trial: one of its trials.
        """
        if trial.state.is_finished():
            return trial.params
        draw = self._pending.get((study.study_name, trial.number))
        if draw is not None:
            return draw.params
        known = trial.system_attrs.get(CLAIMED) or trial.system_attrs.get("fixed_params", {})
        return {**known, **trial.params}

    @final
    def claim(self, study: Study, trial: FrozenTrial, draw: Draw) -> None:
        """Store a draw with its trial at once, so that other processes know it before its parameters are suggested."""
        study._storage.set_trial_system_attr(trial._trial_id, CLAIMED, dict(draw.params))

    @final
    def drawn(self, number: int) -> Draw | None:
        """Return the draw of the last trial, None if its parameters were fixed or `number` is another trial's."""
        last, draw = self._last
        return draw if last == number else None


@final
class ArchitectureSampler(DrawingSampler):
    """Sampler of the architectures that a function chooses."""

    def __init__(self, space: Space, choose: Choose, seed: int) -> None:
        """Make a sampler.

        Args:
            space: space of the architectures.
            choose: chooses an architecture.
            seed: seed of the generator that `choose` is given.
        """
        super().__init__(seed)
        self._space = space
        self._choose = choose

    def draw(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Draw:
        """Draw the architecture that the function chooses."""
        return Draw.of(self._space, self._choose(study, trial, generator))
