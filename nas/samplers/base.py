"""Base of samplers that choose a whole architecture, whose parameters become those of the trial."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, final

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nas.samplers.parameters import ParameterNotes
from search_space.architecture import Architecture
from search_space.space import Space

Choose = Callable[[Study, FrozenTrial, random.Random], Architecture]
"""Function (study, trial that is being asked for, generator) → normalised architecture of the space."""


@final
class ArchitectureSampler(BaseSampler):
    """Optuna sampler that draws the architectures which a function chooses."""

    def __init__(self, space: Space, choose: Choose, seed: int) -> None:
        """Make a sampler.

        Args:
            space: space of the architectures.
            choose: chooses an architecture.
            seed: seed of the generator that `choose` is given.
        """
        self._space = space
        self._choose = choose
        self._seed(seed)

    def reseed_rng(self) -> None:
        """Seed the draws anew, at random."""
        self._seed(None)

    def _seed(self, seed: int | None) -> None:
        self._generator = random.Random(seed)
        self._independent = RandomSampler(seed)
        self._chosen: dict[int, dict[str, Any]] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Choose an architecture, and return the distributions of its parameters."""
        if "fixed_params" in trial.system_attrs:  # enqueued: its parameters are fixed already
            return {}
        notes = ParameterNotes(self._space.assignments(self._choose(study, trial, self._generator)))
        self._space.sample(notes)
        self._chosen[trial.number] = dict(notes.params)
        return notes.distributions

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002 - the architecture was chosen with its distributions
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - as above
    ) -> dict[str, Any]:
        """Return the parameters of the chosen architecture."""
        return self._chosen.pop(trial.number, {})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value for a parameter that the architecture does not have."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)
