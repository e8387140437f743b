"""How networks are asked for and how far they are trained: what a search and its rehearsal have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from nas.config.budget import Budget
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.sampler import SamplerSpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.policy import Policy
from nas.objectives.examination import Gate
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.objectives.step_memory import StepMemory
from nas.objectives.values import cost_names, costs_known, objective_values
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.view import View
from nas.search.proposer import Proposer
from search_space.architecture import Architecture
from search_space.lowering import lower
from search_space.projection import Projection, project
from search_space.references.architectures import ARCHITECTURES
from search_space.space import Space


class Strategy(Protocol):
    """What decides which networks are trained, and how far; the settings of a search are one."""

    @property
    def seed(self) -> int:
        """Seeds the sampler."""
        ...

    @property
    def start(self) -> Sequence[str]:
        """Published networks to begin with."""
        ...

    @property
    def objective(self) -> tuple[Objective, ...]:
        """The axes of the front."""
        ...

    @property
    def limits(self) -> Mapping[str, float | None]:
        """What a network may cost."""
        ...

    @property
    def sampler(self) -> SamplerSpec:
        """Who draws the architectures."""
        ...

    @property
    def fidelity(self) -> FidelitySpec:
        """How far each is trained."""
        ...

    @property
    def budget(self) -> Budget:
        """When the search ends."""
        ...


def starts_of(names: Sequence[str], space: Space) -> dict[str, Projection]:
    """Published networks, scaled to the images and brought onto the space, by name.

    Raises:
        ValueError: a network that there is not.
    """
    unknown = [name for name in names if name not in ARCHITECTURES]
    if unknown:
        raise ValueError(f"start may name {', '.join(ARCHITECTURES)}, got {unknown[0]!r}")
    return {name: project(space, ARCHITECTURES[name](space.input, space.classes)) for name in names}


def asking(strategy: Strategy, space: Space, axes: Sequence[Axis], memory: StepMemory | None) -> tuple[View, Proposer]:
    """What the sampler sees, empty, and who asks it for the next network.

    Args:
        strategy: what is searched with.
        space: what to draw from.
        axes: the objectives, as the study has them.
        memory: what a training step may take; None for any amount.

    Raises:
        ValueError: no such sampler, or an option that it doesn't have.
    """
    costs = costs_known(strategy.objective)
    limits = Limits(**strategy.limits).checked(costs.names)
    domain = Domain(space, axes, limits, cost_names(strategy.objective), partial(_fits, memory), costs)
    sampler = sampler_factory(strategy.sampler, domain)
    view = View(space, axes, sampler, seed=strategy.seed, worst=strategy.sampler.rejected_as == "worst")
    proposer = Proposer(
        view,
        Gate(limits, memory, costs),
        seed=strategy.seed,
        max_idle_asks=strategy.budget.max_idle_asks,
        starts=[start.architecture for start in starts_of(strategy.start, space).values()],
    )
    return view, proposer


def _fits(memory: StepMemory | None, architecture: Architecture) -> bool:
    return memory is None or not memory.exceeded(lower(architecture))


def policy(strategy: Strategy, axes: Sequence[Axis], epochs: int) -> Policy:
    """How far trials are trained before the next decision about them.

    Args:
        strategy: what is searched with.
        axes: the objectives, as the study has them.
        epochs: the full horizon of a training, at least 1.

    Raises:
        ValueError: no such fidelity, or an option that it doesn't have.
    """
    values = partial(objective_values, strategy.objective)
    return policy_of(strategy.fidelity, Horizon(epochs, axes, values, cost_names(strategy.objective)))
