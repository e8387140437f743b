"""What is known of an architecture before any training: its identities, its exact costs, and the limits it breaks."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from nas.config.specs import Limits
from search_space.architecture import Architecture
from search_space.choices import RandomChooser
from search_space.cost import MIB, Cost, cost, training_bytes
from search_space.graph import Graph
from search_space.identity import network_id
from search_space.lowering import lower, summary
from search_space.space import Space

COSTS = ("params", "macs", "memory_mib")
SLOT_MEMORY = "slot_memory_mib"


@dataclass(frozen=True)
class StepMemory:
    """The memory that a training step may take.

    What a step takes is an upper estimate, see `search_space.cost.training_bytes`: a network that is let through may
    still run out of memory by what kernels need to work, and one that is refused might just have fitted.

    Attributes:
        available: bytes of memory of the smallest slot, positive.
        batch_size: images in a step.
        optimizer_slots: values that the optimizer keeps a parameter.
        ema: whether averaged weights are kept.
    """

    available: int
    batch_size: int
    optimizer_slots: int
    ema: bool

    def needed(self, graph: Graph) -> int:
        """Bytes that a step of the network takes at most."""
        return training_bytes(graph, self.batch_size, optimizer_slots=self.optimizer_slots, ema=self.ema)

    def exceeded(self, graph: Graph) -> dict[str, float]:
        """By how many MiB a step is too large for a slot, under the constraint's name; empty where it fits.

        Nothing is said where it fits, so that what a sampler is told does not depend on the machine.
        """
        excess = self.needed(graph) - self.available
        return {SLOT_MEMORY: excess / MIB} if excess > 0 else {}


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


def examine(architecture: Architecture, limits: Limits, memory: StepMemory | None = None) -> Examined:
    """Everything about an architecture that needs no training.

    Args:
        architecture: the architecture.
        limits: what it may cost.
        memory: what a training step may take; None for any amount.
    """
    graph = lower(architecture)
    exact = cost(graph)
    return Examined(
        architecture=architecture,
        network_id=network_id(graph),
        summary=summary(architecture),
        costs=_named(exact),
        constraints=limits.exceeded(exact.params, exact.macs, exact.memory_mib)
        | (memory.exceeded(graph) if memory else {}),
    )


def check_fits(space: Space, memory: StepMemory) -> None:
    """Refuse a slot in which no architecture of the space could be trained.

    Raises:
        ValueError: with what the smallest training step takes.
    """
    smallest = space.minimise(lambda architecture: memory.needed(lower(architecture)))
    needed = memory.needed(lower(smallest))
    if needed > memory.available:
        raise ValueError(
            f"a slot must have memory for a training step, the smallest of {space.name} at batch size "
            f"{memory.batch_size} takes up to {needed / MIB:,.4g} MiB ({summary(smallest)}), "
            f"got {memory.available / MIB:,.4g} MiB"
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


@dataclass(frozen=True)
class Reach:
    """What limits leave of a space.

    Attributes:
        share: of the random architectures, how many meet every limit, in [0, 1].
        least: the least that an architecture costs, by the cost that there is a limit on.
    """

    share: float
    least: Mapping[str, float]

    def __str__(self) -> str:
        named = ", ".join(f"{cost:,.6g} {name}" for name, cost in self.least.items())
        return f"limits leave {self.share:.1%} of the space; the least that a network costs: {named}"


def reach(space: Space, limits: Limits, samples: int = 500) -> Reach | None:
    """What limits leave of a space, None where there are none.

    Args:
        space: the space.
        limits: what a network may cost.
        samples: random architectures that are looked at, at least 1.
    """
    limited = limits.by_cost()
    if not limited:
        return None
    chooser = RandomChooser(random.Random(0))
    drawn = [costs_of(space.sample(chooser)) for _ in range(samples)]
    within = sum(all(costs[name] <= limit for name, limit in limited.items()) for costs in drawn)
    least = {
        name: costs_of(space.minimise(lambda architecture, name=name: costs_of(architecture)[name]))[name]  # type: ignore[misc]
        for name in limited
    }
    return Reach(within / samples, least)
