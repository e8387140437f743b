"""Facts about an architecture that need no training: identities, exact costs, limits that it exceeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas.objectives.costs import Costs, Measurable, built_in_costs
from nas.objectives.limits import Limits
from nas.objectives.step_memory import StepMemory
from search_space.architecture import Architecture
from search_space.identity import network_id
from search_space.lowering import summary


@dataclass(frozen=True)
class Examined:
    """An architecture with the facts that its graph determines.

    Attributes:
        architecture: the architecture.
        network_id: identity of its network.
        summary: one readable line.
        costs: exact costs by name.
        constraints: by how much each limit is exceeded; at most 0 where it is met.
    """

    architecture: Architecture
    network_id: str
    summary: str
    costs: Mapping[str, float]
    constraints: Mapping[str, float]

    @property
    def feasible(self) -> bool:
        """True if every limit is met."""
        return all(excess <= 0 for excess in self.constraints.values())


@dataclass(frozen=True)
class Gate:
    """Requirements that a network must meet before it is trained.

    Attributes:
        limits: limits on its costs.
        memory: memory that a training step may take; None for any amount.
        costs: the costs that the search knows.
    """

    limits: Limits = field(default_factory=Limits)
    memory: StepMemory | None = None
    costs: Costs = field(default_factory=built_in_costs)

    def examine(self, architecture: Architecture) -> Examined:
        """Compute everything about a normalised architecture that needs no training."""
        network = Measurable(architecture)
        costs = self.costs.of(network)
        return Examined(
            architecture=architecture,
            network_id=network_id(network.graph),
            summary=summary(architecture),
            costs=costs,
            constraints=self.limits.exceeded(costs) | (self.memory.exceeded(network.graph) if self.memory else {}),
        )
