"""Regularized evolution over networks, for any number of objectives.

Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search": a population of the newest networks
alone, so that what was lucky once dies of age; the best of a random sample of it is mutated, by one choice. With more
than one objective the best of a sample is one of those that fewest layers of the population's non-dominated sorting
(Deb et al. 2002) lie in front of, taken at random among equals.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.samplers.base import WholeSampler
from nas.samplers.factory import Domain
from nas.samplers.parameters import ParameterChooser, ParameterNotes
from nas.samplers.view import SamplerFactory
from search_space.architecture import Architecture
from search_space.choices import RandomChooser, SpaceError
from search_space.space import Space

TRIES = 5


@final
@dataclass(frozen=True)
class Evolution:
    """Chooses a mutant of a good one among the newest networks.

    Attributes:
        space: what to draw from.
        population: newest complete trials that may have offspring; as many are drawn at random to begin with.
        tournament: of which the best one has it, from 1 to `population`.

    Raises:
        ValueError: a number out of range.
    """

    space: Space
    population: int
    tournament: int

    def __post_init__(self) -> None:
        if not 1 <= self.tournament <= self.population:
            raise ValueError(
                "sampler.options.tournament must lie between 1 and population, "
                f"got {self.tournament} and {self.population}"
            )

    def __call__(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Architecture:
        """A mutant that no trial has drawn before, where some tries find one."""
        trials = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        complete = [other for other in trials if other.state == TrialState.COMPLETE]
        if len(complete) < self.population:
            return self.space.sample(RandomChooser(generator))
        newest = complete[-self.population :]
        ranks = moocore.pareto_rank(_losses(study, newest))
        drawn = {frozenset(other.params.items()) for other in trials}
        for _ in range(TRIES):
            contest = generator.sample(range(self.population), self.tournament)
            best = min(contest, key=lambda i: ranks[i])  # the sample is in random order already
            mutant = self._mutant(newest[best], generator)
            if parameters(self.space, mutant) not in drawn:
                break
        return mutant

    def _mutant(self, parent: FrozenTrial, generator: random.Random) -> Architecture:
        try:
            return self.space.mutate(self.space.sample(ParameterChooser(parent.params)), generator)
        except SpaceError:  # it has no neighbours
            return self.space.sample(RandomChooser(generator))


def parameters(space: Space, architecture: Architecture) -> frozenset[tuple[str, Any]]:
    """The parameters of a trial that draws an architecture of a space."""
    notes = ParameterNotes(space.assignments(architecture))
    space.sample(notes)
    return frozenset(notes.params.items())


def _losses(study: Study, trials: list[FrozenTrial]) -> NDArray[np.float64]:
    """Values (n, m), all to be minimised."""
    signs = [1.0 if direction == StudyDirection.MINIMIZE else -1.0 for direction in study.directions]
    return np.array([trial.values for trial in trials], dtype=np.float64) * signs


def make(domain: Domain, population: int = 20, tournament: int = 5) -> SamplerFactory:
    """The sampler, made anew for each ask."""
    return partial(_seeded, domain, Evolution(domain.space, population, tournament))


def _seeded(domain: Domain, evolution: Evolution, seed: int) -> BaseSampler:
    return WholeSampler(domain.space, evolution, seed)
