"""Stratified random sampling: networks whose costs are uniform on the logarithm; a baseline that uses costs alone.

Uniform choices draw most networks at the costs where the space is densest. Here each draw has a target cost, from a
low-discrepancy (golden ratio) sequence over the range, and takes the nearest of several random networks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nas.config.ranges import Range, check_number
from nas.objectives.costs.macs import COST as MACS
from nas.samplers.base import ArchitectureSampler
from nas.samplers.factory import Domain
from nas.samplers.view import SamplerFactory
from search_space.architecture import Architecture
from search_space.choices import RandomChooser

GOLDEN = (math.sqrt(5) - 1) / 2
ANY_COST = MACS.name


@final
@dataclass(frozen=True)
class Stratified:
    """Choice of a random network near the target cost of a trial.

    Attributes:
        domain: space, objectives and limits.
        draws: number of random networks of which the nearest is taken, at least 1.

    Raises:
        ValueError: `draws` is below 1.
    """

    domain: Domain
    draws: int

    def __post_init__(self) -> None:
        check_number("sampler.options.draws", self.draws, Range(1, 100_000), whole=True)

    def __call__(self, study: Study, trial: FrozenTrial, generator: random.Random) -> Architecture:  # noqa: ARG002 - no result counts
        """Return the random network nearest to the target cost of the trial, within the limits if one is."""
        chooser, name = RandomChooser(generator), self._cost()
        drawn = [self.domain.space.sample(chooser) for _ in range(self.draws)]
        costs = [self.domain.measure(architecture)[1] for architecture in drawn]
        within = [i for i, known in enumerate(costs) if self._meets(known)] or list(range(self.draws))
        logs = {i: math.log10(max(costs[i][name], 1.0)) for i in within}
        low, high = self._range(name, list(logs.values()))
        target = low + (high - low) * ((trial.number * GOLDEN) % 1.0)
        return drawn[min(within, key=lambda i: (abs(logs[i] - target), i))]

    def _cost(self) -> str:
        """Return the cost that is stratified: the first objective that is a cost, or else MACs."""
        return next((self.domain.costs[a.name] for a in self.domain.axes if a.name in self.domain.costs), ANY_COST)

    def _meets(self, costs: Mapping[str, float]) -> bool:
        return self.domain.limits.meets(costs)

    def _range(self, name: str, drawn: list[float]) -> tuple[float, float]:
        """Return the logarithms of the least and the largest target cost."""
        axis = next((a for a in self.domain.axes if self.domain.costs.get(a.name) == name), None)
        low, high = (math.log10(axis.best), math.log10(axis.worst)) if axis else (min(drawn), max(drawn))
        limit = self.domain.limits.by_cost.get(name)
        return low, high if limit is None else max(low, min(high, math.log10(limit)))


def make(domain: Domain, draws: int = 32) -> SamplerFactory:
    """Return the factory of samplers."""
    return partial(_seeded, domain, Stratified(domain, draws))


def _seeded(domain: Domain, choose: Stratified, seed: int) -> BaseSampler:
    return ArchitectureSampler(domain.space, choose, seed)
