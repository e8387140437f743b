"""Sampler: any of Optuna's, made anew for each ask with the seed that it is given."""

from collections.abc import Callable
from functools import partial

from optuna.samplers import BaseSampler, NSGAIISampler


def make(domain: object, population: int = 10) -> Callable[[int], BaseSampler]:
    """Return a function from seed to sampler; `domain` has the space, the axes and the limits."""
    return partial(_sampler, population)


def _sampler(population: int, seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=population, seed=seed)
