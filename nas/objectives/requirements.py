"""Requirements on a network before it is trained: identities, exact costs, exceeded limits, memory of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from nas.objectives.costs import Costs, Measurable, built_in_costs
from nas.objectives.limits import Limits
from nas.objectives.step_memory import StepMemory
from search_space.architecture import Architecture
from search_space.lowering import lower, summary
from search_space.memo import Memo

CACHED_NETWORKS = 4096

Measure = Callable[[Architecture], tuple[str, Mapping[str, float]]]
"""Returns the identity of an architecture's network, and its costs by name, all positive."""


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


@final
class Requirements:
    """Requirements that a network must meet before it is trained.

    Identity and costs of an architecture are computed once, for the sampler and for the search.

    Attributes:
        limits: limits on its costs.
        memory: memory that a training step may take; None for any amount.
        costs: the costs that the search knows.
        measure: returns the identity and the costs of an architecture's network.
    """

    def __init__(
        self, limits: Limits | None = None, memory: StepMemory | None = None, costs: Costs | None = None
    ) -> None:
        """Collect the requirements; without any, every network meets them.

        Args:
            limits: limits on the costs; None for none.
            memory: memory that a training step may take; None for any amount.
            costs: the costs that the search knows; None for our own.
        """
        self.limits = limits or Limits()
        self.memory = memory
        self.costs = costs or built_in_costs()
        self.measure: Measure = lru_cache(CACHED_NETWORKS)(exact_measure(self.costs))
        self._memory_excess = lru_cache(CACHED_NETWORKS)(self._exceeded_memory)

    def fits(self, architecture: Architecture) -> bool:
        """Return whether a training step of the network fits into the memory of a slot."""
        return not self._memory_excess(architecture)

    def examine(self, architecture: Architecture) -> Examined:
        """Compute everything about a normalised architecture that needs no training."""
        network_id, costs = self.measure(architecture)
        return Examined(
            architecture=architecture,
            network_id=network_id,
            summary=summary(architecture),
            costs=costs,
            constraints=self.limits.exceeded(costs) | self._memory_excess(architecture),
        )

    def _exceeded_memory(self, architecture: Architecture) -> dict[str, float]:
        return {} if self.memory is None else self.memory.exceeded(lower(architecture))


def exact_measure(costs: Costs | None = None) -> Measure:
    """Return a function for network ids and exact costs, which measures each block once.

    Args:
        costs: the costs that the search knows; None for our own.
    """
    memo, known = Memo(), costs or built_in_costs()

    def measure(architecture: Architecture) -> tuple[str, Mapping[str, float]]:
        name, totals = memo.examine(architecture)
        return name, known.of(Measurable(architecture, totals=totals))

    return measure
