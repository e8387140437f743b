"""Factory of Optuna's samplers, by the name of their class."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nas.config.ranges import Range, check_number
from nas.samplers.view import SamplerFactory
from search_space.plugins import check_option, defaults_of

RANGES: Mapping[str, Range] = {
    "n_startup_trials": Range(0, 1_000_000),
    "n_ei_candidates": Range(1, 100_000),
    "population_size": Range(2, 100_000),
    "dividing_parameter": Range(1, 1000),
    "mutation_prob": Range(0, 1),
    "crossover_prob": Range(0, 1),
    "swapping_prob": Range(0, 1),
}
"""Ranges of the arguments that the files of conf/sampler show."""


class StatelessParents(BaseGASampler):
    """Mix-in for genetic samplers whose parents depend on the trials alone, for one ask.

    Optuna's samplers cache the parents of a generation in the study, and return them in another order the first time.
    A resumed search, whose view has no such cache, would draw other children than an unbroken one.
    """

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the parents of `generation`, selected generation by generation, in order of their numbers."""
        chosen: dict[int, list[FrozenTrial]] = self.__dict__.setdefault("_chosen", {0: []})
        for later in range(len(chosen), generation + 1):
            chosen[later] = sorted(self.select_parent(study, later), key=lambda trial: trial.number)
        return chosen[generation]


def optuna_sampler(class_name: str, options: Mapping[str, Any]) -> SamplerFactory:
    """Return a function that makes a sampler of one of Optuna's classes from a seed.

    Args:
        class_name: name of a class of `optuna.samplers`, such as `TPESampler`.
        options: its arguments besides the seed.

    Raises:
        ValueError: Optuna has no such sampler, or it takes no such option or no seed.
    """
    sampler = _sampler_class(class_name)
    known = set(inspect.signature(sampler).parameters)
    unknown = sorted({"seed", *options} - known)
    if unknown:
        raise ValueError(f"{class_name} takes {sorted(known)}, got {unknown}")
    _check_options(options, optuna_defaults(class_name))
    if issubclass(sampler, BaseGASampler):
        sampler = type(sampler.__name__, (StatelessParents, sampler), {})
    return cast(SamplerFactory, partial(_make, sampler, dict(options)))


def _check_options(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise ValueError if an argument that a file of conf/sampler shows is out of its range, or of another kind."""
    for name, value in options.items():
        default = defaults.get(name)
        if name in RANGES and not (value is None and default is None):
            check_number(f"sampler.options.{name}", value, RANGES[name], whole=isinstance(default, int))
        check_option(f"sampler.options.{name}", value, default)


def optuna_defaults(class_name: str) -> dict[str, Any]:
    """Return the default arguments of one of Optuna's samplers, by name.

    Raises:
        ValueError: Optuna has no such sampler.
    """
    return defaults_of(inspect.signature(_sampler_class(class_name)).parameters.values())


def _sampler_class(name: str) -> type[BaseSampler]:
    found = getattr(optuna.samplers, name, None)
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        raise ValueError(f"sampler.optuna_class must be a sampler of optuna.samplers, got {name!r}")
    return found


def _make(sampler: type[BaseSampler], options: dict[str, Any], seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # the user chose the sampler
        return sampler(seed=seed, **options)  # type: ignore[call-arg]  # checked in optuna_sampler: the class takes a seed
