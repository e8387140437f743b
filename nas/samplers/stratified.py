"""Random networks whose costs are spread evenly over the logarithm: the baseline that knows costs, and nothing else.

Drawing every choice uniformly crowds the networks where the space has most of them. Here ask after ask aims at another
cost, in an order that covers the range evenly at every length, and takes the nearest of a handful of random networks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import final

from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nas.samplers.base import WholeSampler
from nas.samplers.factory import Domain
from nas.samplers.view import SamplerFactory
from search_space.architecture import Architecture
from search_space.choices import RandomChooser
from search_space.memo import Memo

GOLDEN = (math.sqrt(5) - 1) / 2
ANY_COST = "macs"


@final
@dataclass(frozen=True)
class Strata:
    """Chooses a random network near the cost that is next.

    Attributes:
        domain: what to draw from.
        draws: random networks of which the nearest is taken, at least 1.
        memo: parts of networks that were measured before.

    Raises:
        ValueError: no draw at all.
    """

    domain: Domain
    draws: int
    memo: Memo = field(default_factory=Memo)

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"sampler.options.draws must be at least 1, got {self.draws}")

    def __call__(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Architecture:  # noqa: ARG002 - whatever was told
        """The nearest of some random networks to the cost that trial aims at."""
        chooser, name = RandomChooser(generator), self._cost()
        drawn = [self.domain.space.sample(chooser) for _ in range(self.draws)]
        costs = [self._costs(architecture) for architecture in drawn]
        within = [i for i, known in enumerate(costs) if self._meets(known)] or list(range(self.draws))
        logs = {i: math.log10(max(costs[i][name], 1.0)) for i in within}
        low, high = self._range(name, list(logs.values()))
        target = low + (high - low) * ((trial.number * GOLDEN) % 1.0)
        return drawn[min(within, key=lambda i: (abs(logs[i] - target), i))]

    def _cost(self) -> str:
        """The cost that is spread: that of the first objective that is one."""
        return next((self.domain.costs[a.name] for a in self.domain.axes if a.name in self.domain.costs), ANY_COST)

    def _costs(self, architecture: Architecture) -> Mapping[str, float]:
        _, cost = self.memo.examine(architecture)
        return {"params": cost.params, "macs": cost.macs, "memory_mib": cost.memory_mib}

    def _meets(self, costs: Mapping[str, float]) -> bool:
        return all(costs[name] <= limit for name, limit in self.domain.limits.by_cost().items())

    def _range(self, name: str, drawn: list[float]) -> tuple[float, float]:
        """Logarithms of the least and the largest cost to aim at."""
        axis = next((a for a in self.domain.axes if self.domain.costs.get(a.name) == name), None)
        low, high = (math.log10(axis.best), math.log10(axis.worst)) if axis else (min(drawn), max(drawn))
        limit = self.domain.limits.by_cost().get(name)
        return low, high if limit is None else max(low, min(high, math.log10(limit)))


def make(domain: Domain, draws: int = 32) -> SamplerFactory:
    """The sampler, made anew for each ask."""
    return partial(_seeded, domain, Strata(domain, draws))


def _seeded(domain: Domain, strata: Strata, seed: int) -> BaseSampler:
    return WholeSampler(domain.space, strata, seed)
