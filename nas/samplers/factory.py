"""Factory of samplers: of one of Optuna's classes, of a module of this package, or of a dotted path."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.config.sampler import SamplerSpec
from nas.objectives.costs import built_in_costs
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.objectives.requirements import Measure, exact_measure
from nas.samplers.base import ArchitectureSampler
from nas.samplers.optuna_samplers import optuna_defaults, optuna_sampler
from nas.samplers.prior import Prior
from nas.samplers.view import SamplerFactory
from search_space.architecture import Architecture
from search_space.plugins import PluginKind
from search_space.space import Space

SAMPLER = PluginKind("sampler.module", "nas.samplers", "make")
RANDOM = "RandomSampler"
WITHOUT_PRIOR = "stratified"
"""Module of ours that a prior would change nothing for."""


@dataclass(frozen=True)
class Domain:
    """Space, objectives and limits that a sampler of our own is made for.

    Attributes:
        space: space of the architectures.
        axes: the objectives, in the order of a trial's values in the view.
        limits: largest costs allowed.
        costs: the cost that an objective is, by the objective's name, for those that are costs.
        fits: returns whether a training step of a network fits into the memory of a slot.
        measure: returns the identity and the costs of an architecture's network.
        prior: prior over the choices; None for a uniform one.
        validation_images: number of images that a network is validated on; None if it is not known.
    """

    space: Space
    axes: Sequence[Axis]
    limits: Limits = field(default_factory=Limits)
    costs: Mapping[str, str] = field(default_factory=lambda: {name: name for name in built_in_costs().names})
    fits: Callable[[Architecture], bool] = lambda architecture: True  # noqa: ARG005 - no limit on memory
    measure: Measure = field(default_factory=exact_measure)
    prior: Prior | None = None
    validation_images: int | None = None


def sampler_defaults(spec: SamplerSpec) -> dict[str, Any]:
    """Return the values of the options that a specification leaves out, and the defaults of those that it sets.

    Raises:
        ValueError: there is no such sampler.
    """
    return optuna_defaults(spec.optuna_class) if spec.optuna_class is not None else SAMPLER.defaults(spec.module or "")


def sampler_factory(spec: SamplerSpec, domain: Domain) -> SamplerFactory:
    """Return the factory of a sampler: a function that makes the sampler of one ask from its seed.

    Raises:
        ValueError: there is no such sampler, it has no such option, a value is out of range, or it takes no prior.
    """
    if domain.prior is not None and spec.optuna_class == RANDOM:
        return partial(ArchitectureSampler, domain.space, partial(_draw_from, domain.prior))
    if domain.prior is not None and (spec.optuna_class is not None or spec.module == WITHOUT_PRIOR):
        raise ValueError(f"prior.choices goes with sampler=known_cost, random or evolution, got {spec.name}")
    if spec.optuna_class is not None:
        return optuna_sampler(spec.optuna_class, spec.options)
    return cast(SamplerFactory, SAMPLER.make(spec.module or "", domain, spec.options))


def _draw_from(prior: Prior, study: Study, trial: FrozenTrial, generator: random.Random) -> Architecture:  # noqa: ARG001 - a Choose
    """Return a draw from a prior, which counts the less the more trials are complete."""
    return prior.draw(generator, len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))))
