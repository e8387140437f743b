"""Regularized evolution over networks, for any number of objectives.

Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search": the population consists of the
newest networks, so that one with a lucky result dies of age. The winner of a tournament, a random sample of the
population, is mutated in one choice. With several objectives the winner has the lowest rank of the population's
non-dominated sorting (Deb et al. 2002); ties are broken at random.
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

from nas.samplers.base import ArchitectureSampler
from nas.samplers.factory import Domain
from nas.samplers.prior import Prior
from nas.samplers.view import SamplerFactory
from nas.study.parameters import ParameterChooser, ParameterNotes
from search_space.architecture import Architecture
from search_space.choices import RandomChooser, SpaceError
from search_space.space import Space

TRIES = 5
"""Tournaments until a mutant is found that no trial has drawn."""


@final
@dataclass(frozen=True)
class Evolution:
    """Choice of a mutant of the best network of a tournament.

    Attributes:
        space: space of the architectures.
        population: number of newest complete trials that can be parents, at least 1; as many first trials are random.
        tournament: number of members of the population in a tournament, from 1 to `population`.
        prior: prior that the first trials are drawn from; None for a uniform one.

    Raises:
        ValueError: a number is out of range.
    """

    space: Space
    population: int
    tournament: int
    prior: Prior | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.tournament <= self.population:
            raise ValueError(
                "sampler.options.tournament must lie between 1 and population, "
                f"got {self.tournament} and {self.population}"
            )

    def __call__(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Architecture:
        """Return a mutant, one that no trial has drawn if `TRIES` tournaments find one."""
        trials = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        complete = [other for other in trials if other.state == TrialState.COMPLETE]
        if len(complete) < self.population:
            return self._first(generator, len(complete))
        newest = complete[-self.population :]
        ranks = moocore.pareto_rank(_losses(study, newest))
        drawn = {frozenset(other.params.items()) for other in trials}
        for _ in range(TRIES):
            contest = generator.sample(range(self.population), self.tournament)
            winner = min(contest, key=lambda i: ranks[i])  # the sample is in random order already
            mutant = self._mutate(newest[winner], generator)
            if parameters(self.space, mutant) not in drawn:
                break
        return mutant

    def _first(self, generator: random.Random, trainings: int) -> Architecture:
        if self.prior is not None:
            return self.prior.draw(generator, trainings)
        return self.space.sample(RandomChooser(generator))

    def _mutate(self, parent: FrozenTrial, generator: random.Random) -> Architecture:
        try:
            return self.space.mutate(self.space.sample(ParameterChooser(parent.params)), generator)
        except SpaceError:  # it has no neighbours
            return self.space.sample(RandomChooser(generator))


def parameters(space: Space, architecture: Architecture) -> frozenset[tuple[str, Any]]:
    """Return the parameters of a trial that draws an architecture of a space."""
    notes = ParameterNotes(space.assignments(architecture))
    space.sample(notes)
    return frozenset(notes.params.items())


def _losses(study: Study, trials: list[FrozenTrial]) -> NDArray[np.float64]:
    """Return the values (n, m) of trials with signs such that all are minimised."""
    signs = [1.0 if direction == StudyDirection.MINIMIZE else -1.0 for direction in study.directions]
    return np.array([trial.values for trial in trials], dtype=np.float64) * signs


def make(domain: Domain, population: int = 20, tournament: int = 5) -> SamplerFactory:
    """Return the factory of samplers."""
    return partial(_seeded, domain, Evolution(domain.space, population, tournament, domain.prior))


def _seeded(domain: Domain, evolution: Evolution, seed: int) -> BaseSampler:
    return ArchitectureSampler(domain.space, evolution, seed)
