"""A sampler that draws whole architectures: somebody chooses one, and its parameters become the trial's."""

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
"""Chooses a normalised architecture of the space for a trial that is being asked for."""


@final
class WholeSampler(BaseSampler):
    """Draws what `choose` chooses."""

    def __init__(self, space: Space, choose: Choose, seed: int) -> None:
        self._space = space
        self._choose = choose
        self._begin(seed)

    def reseed_rng(self) -> None:
        """Begin a new series of draws."""
        self._begin(None)

    def _begin(self, seed: int | None) -> None:
        self._generator = random.Random(seed)
        self._plain = RandomSampler(seed)
        self._taken: dict[int, dict[str, Any]] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that make the architecture, which is chosen here."""
        if "fixed_params" in trial.system_attrs:  # enqueued: it is chosen already
            return {}
        notes = ParameterNotes(self._space.assignments(self._choose(study, trial, self._generator)))
        self._space.sample(notes)
        self._taken[trial.number] = dict(notes.params)
        return notes.distributions

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002 - the architecture was chosen with its parameters
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002 - as above
    ) -> dict[str, Any]:
        """The values of those parameters."""
        return self._taken.pop(trial.number, {})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, for a parameter that the architecture does not have."""
        return self._plain.sample_independent(study, trial, param_name, param_distribution)
