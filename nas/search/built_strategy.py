"""Strategy of a search, and the objects built from it; a simulated search over a table has the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from nas.config.budget import Budget
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.prior import PriorSpec
from nas.config.sampler import SamplerSpec
from nas.evaluation.pump import Latest
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.policy import Policy
from nas.jobs import Executor
from nas.objectives.axes import axes_of
from nas.objectives.costs import all_costs
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.objectives.requirements import Requirements
from nas.objectives.step_memory import StepMemory
from nas.objectives.values import cost_names, costs_known, objective_values
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.prior import prior_of
from nas.samplers.view import View
from nas.search.parts import SearchParts, Values
from nas.search.proposer import Proposer
from nas.search.starts import projected_starts
from nas.study.architectures import Studies
from nas.study.belief import Believer
from nas.study.belief.stored import believer_for
from nas.study.study import Study
from search_space.projection import Projection
from search_space.space import Space


class Strategy(Protocol):
    """Settings that decide which networks are trained, and how far; those of a search are one."""

    @property
    def seed(self) -> int:
        """Seed of the sampler and of the trainings."""
        ...

    @property
    def start(self) -> Sequence[str]:
        """Names of networks to begin with: published ones, JSON files, or trials as `STUDY:NUMBER`."""
        ...

    @property
    def objective(self) -> tuple[Objective, ...]:
        """Objectives."""
        ...

    @property
    def limits(self) -> Mapping[str, float | None]:
        """Limits on costs, by `max_<cost>`."""
        ...

    @property
    def sampler(self) -> SamplerSpec:
        """Sampler of the architectures."""
        ...

    @property
    def prior(self) -> PriorSpec:
        """Prior over the choices."""
        ...

    @property
    def fidelity(self) -> FidelitySpec:
        """Policy of the training lengths."""
        ...

    @property
    def budget(self) -> Budget:
        """End of the search."""
        ...


@dataclass(frozen=True)
class TrainingHorizon:
    """Full training of a search.

    Attributes:
        epochs: number of epochs, at least 1.
        validation_images: number of images that it is validated on; None if it is not known.
        validate_every: epochs from one validation to the next, at least 1.
    """

    epochs: int
    validation_images: int | None = None
    validate_every: int = 1


@dataclass(frozen=True)
class BuiltStrategy:
    """Objects built from a strategy, for one search.

    Attributes:
        space: the search space.
        axes: the objectives as axes.
        requirements: requirements that a network must meet before it is trained.
        starts: networks to begin with, projected onto the space, by name.
        view: in-memory study that the sampler sees; empty.
        proposer: proposes new networks.
        policy: decides how far trials are trained.
        values: returns the objectives of a trained network.
        believer: believer of the study's trials.
    """

    space: Space
    axes: tuple[Axis, ...]
    requirements: Requirements
    starts: Mapping[str, Projection]
    view: View
    proposer: Proposer
    policy: Policy
    values: Values
    believer: Believer

    def parts(self, study: Study, executor: Executor, latest: Latest) -> SearchParts:
        """Return the parts of a search over a study, with the defaults of all others.

        Args:
            study: stores everything.
            executor: runs the jobs.
            latest: finds the newest checkpoint in a folder.
        """
        return SearchParts(study, self.view, self.proposer, self.policy, executor, self.values, latest)


def build_strategy(
    strategy: Strategy,
    space: Space,
    horizon: TrainingHorizon,
    memory: StepMemory | None = None,
    studies: Studies | None = None,
) -> BuiltStrategy:
    """Build the objects of a strategy.

    Args:
        strategy: the settings.
        space: the search space.
        horizon: full training, and the images that it is validated on.
        memory: memory that a training step may take; None for any amount.
        studies: place of the studies whose trials may be starts; None for the default one.

    Raises:
        ValueError: an unknown start, sampler, fidelity, choice or option, or an option out of range.
    """
    limits = Limits(**strategy.limits)
    costs = costs_known(strategy.objective, space, limits.by_cost)
    limits = limits.checked([*costs.names, *all_costs().names])
    axes, requirements = axes_of(strategy.objective, space, limits), Requirements(limits, memory, costs)
    names = cost_names(strategy.objective)
    prior, images = prior_of(strategy.prior, space), horizon.validation_images
    domain = Domain(space, axes, requirements.limits, names, requirements.fits, requirements.measure, prior, images)
    sampler = sampler_factory(strategy.sampler, domain)
    believer = believer_for(space, axes, names, images, limits)
    view = View(space, axes, sampler, seed=strategy.seed, worst=strategy.sampler.rejected_as == "worst")
    starts = projected_starts(strategy.start, space, studies)
    proposer = Proposer(
        view,
        requirements,
        seed=strategy.seed,
        max_idle_asks=strategy.budget.max_idle_asks,
        starts=[start.architecture for start in starts.values()],
    )
    values = partial(objective_values, strategy.objective)
    full = Horizon(horizon.epochs, axes, values, names, believer, horizon.validate_every)
    policy = policy_of(strategy.fidelity, full)
    return BuiltStrategy(space, axes, requirements, starts, view, proposer, policy, values, believer)
