"""Strategies of simulated searches, with the samplers and fidelities of conf/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.prior import PriorSpec
from nas.config.sampler import SamplerSpec


@dataclass(frozen=True, kw_only=True)
class SearchStrategy:
    """Settings of a search that satisfy the Strategy protocol."""

    sampler: SamplerSpec
    fidelity: FidelitySpec
    objective: tuple[Objective, ...]
    seed: int = 0
    start: Sequence[str] = ()
    limits: Mapping[str, float | None] = field(default_factory=dict)
    prior: PriorSpec = field(default_factory=PriorSpec)
    budget: Budget = field(default_factory=lambda: Budget(trials=None, trainings=8.0))


@cache
def composed(sampler: str, fidelity: str) -> Any:
    return compose("search", [f"sampler={sampler}", f"fidelity={fidelity}"])


def strategy(sampler: str = "random", fidelity: str = "full", **changes: Any) -> SearchStrategy:
    config = composed(sampler, fidelity)
    given = {"sampler": config.sampler, "fidelity": config.fidelity, "objective": config.objective, **changes}
    return SearchStrategy(**given)
