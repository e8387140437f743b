"""From a sampler's specification to what makes it anew for every ask: a class of Optuna's, or a module of this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from nas.config.sampler import SamplerSpec
from nas.config.specs import Limits
from nas.objectives.costs import COSTS
from nas.objectives.pareto import Axis
from nas.samplers.optuna_samplers import optuna_sampler
from nas.samplers.view import SamplerFactory
from search_space.architecture import Architecture
from search_space.plugins import PluginKind
from search_space.space import Space

SAMPLER = PluginKind("sampler.module", "nas.samplers", "make")


@dataclass(frozen=True)
class Domain:
    """What a sampler of our own is made for.

    Attributes:
        space: what to draw from.
        axes: the objectives, in the order in which the view tells them, with costs on their own scale.
        limits: what a network may cost.
        costs: the cost that an objective is, by the objective's name, for those that are costs.
        fits: whether a network can be trained on the slots that there are.
    """

    space: Space
    axes: Sequence[Axis]
    limits: Limits = field(default_factory=Limits)
    costs: Mapping[str, str] = field(default_factory=lambda: {name: name for name in COSTS})
    fits: Callable[[Architecture], bool] = lambda architecture: True  # noqa: ARG005 - wherever nobody says otherwise


def sampler_factory(spec: SamplerSpec, domain: Domain) -> SamplerFactory:
    """Makes the sampler of one ask from its seed.

    Raises:
        ValueError: there is no such sampler, or it takes no such option.
    """
    if spec.optuna_class is not None:
        return optuna_sampler(spec.optuna_class, spec.options)
    return cast(SamplerFactory, SAMPLER.make(spec.module or "", domain, spec.options))
