"""Number of trainings of one network that a process trains together, chosen from its costs before any training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.objectives.step_memory import StepMemory
from search_space.cost import cost
from search_space.documents import graph_of
from search_space.packable import is_packable

LARGEST = 8
"""Trainings in a pack at most, where it is for the rule to say."""

STEPS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "cpu": ((LARGEST, 20_000_000), (4, 130_000_000), (2, 500_000_000)),
    "cuda": ((LARGEST, 2_000_000_000),),
}
"""Pack sizes by device, each with the largest multiply–accumulates of the forward pass over a batch that it pays for.

On one core, a step of a pack of 8 takes 0.21 to 0.48 of the time of its members alone up to the first bound, one of 4
0.58 to 0.63 up to the second, and one of 2 0.72 to 0.91 up to the third (benchmarks/packing.py). The bound for CUDA is
not measured: a kernel of that size takes longer than its launch.
"""


@dataclass(frozen=True)
class PackSize:
    """Rule that gives the number of trainings of a network in a pack.

    Attributes:
        most: trainings in a pack at most; None for the measured rule.
        device: `cpu` or `cuda`.
        memory: memory of a slot, and what a training step needs.
    """

    most: int | None
    device: str
    memory: StepMemory

    def __call__(self, architecture: Mapping[str, Any]) -> int:
        """Return the number of trainings for an architecture, given in its JSON form; 1 for no pack."""
        graph = graph_of(architecture)
        if self.most == 1 or not is_packable(graph):
            return 1
        fits = max(1, self.memory.available // self.memory.needed(graph))
        return min(fits, self.most or self._paying(cost(graph).macs * self.memory.batch_size))

    def _paying(self, macs: int) -> int:
        return next((size for size, largest in STEPS.get(self.device, ()) if macs <= largest), 1)
