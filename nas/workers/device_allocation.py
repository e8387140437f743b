"""Number of devices that train a network together, chosen from its costs before any training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas.objectives.step_memory import StepMemory
from search_space.cost import cost
from search_space.documents import graph_of

GIGA = 10**9


@dataclass(frozen=True)
class DeviceAllocation:
    """Rule that gives the number of devices of a trial.

    It is the smallest power of two in [`least`, `most`] with which the training step fits the memory of each device.
    It is larger if each device then still computes `device_gmacs` in a step: an exchange of gradients has to pay.

    Attributes:
        least: minimum number of devices, at least 1.
        most: maximum number of devices, at least `least`.
        memory: memory of a device, and what a training step on the whole batch needs.
        device_gmacs: 10⁹ multiply–accumulates of the forward pass that each device must have in a step; None to go by
            memory alone.
    """

    least: int
    most: int
    memory: StepMemory
    device_gmacs: float | None = None

    def __call__(self, architecture: Mapping[str, Any]) -> int:
        """Return the number of devices for an architecture, given in its JSON form."""
        if self.least == self.most:
            return self.most
        graph = graph_of(architecture)
        counts = [count for count in _powers_of_two(self.most) if count >= self.least]
        by_memory = (n for n in counts if per_device(self.memory, n).needed(graph) <= self.memory.available)
        macs = cost(graph).macs * self.memory.batch_size
        by_macs = [n for n in counts if self.device_gmacs is not None and macs >= n * self.device_gmacs * GIGA]
        return max(next(by_memory, counts[-1]), *by_macs, counts[0])

    @property
    def memory_at_most(self) -> StepMemory:
        """Memory that a step needs of each device if the trial has `most` devices."""
        return per_device(self.memory, self.most)


def per_device(memory: StepMemory, devices: int) -> StepMemory:
    """Return the memory that a step needs of each of several devices that share its batch."""
    return replace(memory, batch_size=math.ceil(memory.batch_size / devices))


def max_devices(slots: int, batch_size: int) -> int:
    """Return the largest power of two of devices for the slots and the batch; batch norm needs two images a device.

    >>> max_devices(6, 64), max_devices(8, 7)
    (4, 2)
    """
    return _powers_of_two(max(1, min(slots, batch_size // 2)))[-1]


def _powers_of_two(limit: int) -> list[int]:
    return [2**exponent for exponent in range(limit.bit_length())]
