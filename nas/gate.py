"""What is known of an architecture before any training: its identities, its exact costs, and the limits it breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.specs import Limits
from search_space.architecture import Architecture
from search_space.cost import Cost, cost
from search_space.graph import Graph
from search_space.identity import network_id
from search_space.lowering import lower, summary
from search_space.space import Space

COSTS = ("params", "macs", "memory_mib")


@dataclass(frozen=True)
class Examined:
    """An architecture with everything that its graph tells.

    Attributes:
        architecture: the architecture.
        network_id: identity of its network.
        summary: one readable line.
        costs: `params`, `macs`, `memory_mib`.
        constraints: by how much each limit is exceeded; at most 0 where it is met.
    """

    architecture: Architecture
    network_id: str
    summary: str
    costs: Mapping[str, float]
    constraints: Mapping[str, float]

    @property
    def feasible(self) -> bool:
        """Whether every limit is met."""
        return all(excess <= 0 for excess in self.constraints.values())


def costs_of(architecture: Architecture) -> dict[str, float]:
    """Exact costs of a network by name: `params`, `macs`, `memory_mib` (peak of activation memory at batch 1)."""
    return graph_costs(lower(architecture))


def graph_costs(graph: Graph) -> dict[str, float]:
    """Exact costs of a graph by name."""
    return _named(cost(graph))


def _named(exact: Cost) -> dict[str, float]:
    return {"params": exact.params, "macs": exact.macs, "memory_mib": exact.memory_mib}


def examine(architecture: Architecture, limits: Limits) -> Examined:
    """Everything about an architecture that needs no training."""
    graph = lower(architecture)
    exact = cost(graph)
    return Examined(
        architecture=architecture,
        network_id=network_id(graph),
        summary=summary(architecture),
        costs=_named(exact),
        constraints=limits.exceeded(exact.params, exact.macs, exact.memory_mib),
    )


def check_reachable(space: Space, limits: Limits) -> None:
    """Refuse limits that no architecture of the space meets.

    Raises:
        ValueError: with what the cheapest architecture costs.
    """
    for name in COSTS:
        limit = getattr(limits, f"max_{name}")
        if limit is None:
            continue
        cheapest = space.minimise(lambda architecture, name=name: costs_of(architecture)[name])  # type: ignore[misc]
        least = costs_of(cheapest)[name]
        if least > limit:
            raise ValueError(
                f"limits.max_{name} must leave an architecture, the cheapest of {space.name} for {space.input} images "
                f"costs {least:,.6g} {name} ({summary(cheapest)}), got {limit:,.6g}"
            )
