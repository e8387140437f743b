"""Memory of a training step, which must fit into a slot."""

from __future__ import annotations

from dataclasses import dataclass

from search_space.cost import MIB, training_bytes
from search_space.graph import Graph
from search_space.lowering import lower, summary
from search_space.space import Space

SLOT_MEMORY = "slot_memory_mib"
"""Name of the constraint."""


@dataclass(frozen=True)
class StepMemory:
    """Memory that a training step may take.

    The estimate is an upper one, see `search_space.cost.training_bytes`: a network that is accepted may still run out
    of memory by the workspaces of kernels, and one that is refused might just have fitted.

    Attributes:
        available: bytes of memory of the smallest slot, positive.
        batch_size: images in a step.
        optimizer_slots: values that the optimizer keeps for each parameter.
        ema: whether an average of the weights is kept.
    """

    available: int
    batch_size: int
    optimizer_slots: int
    ema: bool

    def needed(self, graph: Graph) -> int:
        """Return the bytes that a step of the network takes at most."""
        return training_bytes(graph, self.batch_size, optimizer_slots=self.optimizer_slots, ema=self.ema)

    def exceeded(self, graph: Graph) -> dict[str, float]:
        """Return by how many MiB a step exceeds a slot, under the constraint's name; empty where it fits.

        Empty, so that the sampler's observations do not depend on the machine.
        """
        excess = self.needed(graph) - self.available
        return {SLOT_MEMORY: excess / MIB} if excess > 0 else {}


def check_fits(space: Space, memory: StepMemory) -> None:
    """Raise if no architecture of the space can be trained in a slot.

    Raises:
        ValueError: with the memory of the smallest training step.
    """
    smallest = space.minimise(lambda architecture: memory.needed(lower(architecture)))
    needed = memory.needed(lower(smallest))
    if needed > memory.available:
        raise ValueError(
            f"a slot must have memory for a training step, the smallest of {space.name} at batch size "
            f"{memory.batch_size} takes up to {needed / MIB:,.4g} MiB ({summary(smallest)}), "
            f"got {memory.available / MIB:,.4g} MiB"
        )
