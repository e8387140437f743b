"""Over how many devices a network is trained, by what is known of it before any training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas.objectives.costs import StepMemory
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.lowering import lower

GIGA = 10**9


@dataclass(frozen=True)
class Spread:
    """A rule that says over how many devices a network is trained.

    Between `least` and `most` it is the smallest power of two that gives each device a step that fits its memory; or
    more, as long as each device then has `device_gmacs` to compute in a step, as an exchange of gradients has to pay.

    Attributes:
        least: devices of any trial, at least 1.
        most: devices of any trial, at least `least`.
        memory: what a training step on the whole batch takes, and a device has.
        device_gmacs: 10⁹ multiply–accumulates of the forward pass that a device must have in a step; None to go by
            memory alone.
    """

    least: int
    most: int
    memory: StepMemory
    device_gmacs: float | None = None

    def __call__(self, architecture: Mapping[str, Any]) -> int:
        """How many devices a network takes, from the JSON form of its architecture."""
        if self.least == self.most:
            return self.most
        graph = lower(Architecture.from_json(architecture))
        counts = [count for count in _powers(self.most) if count >= self.least]
        by_memory = (n for n in counts if shared(self.memory, n).needed(graph) <= self.memory.available)
        work = cost(graph).macs * self.memory.batch_size
        by_work = [n for n in counts if self.device_gmacs is not None and work >= n * self.device_gmacs * GIGA]
        return max(next(by_memory, counts[-1]), *by_work, counts[0])

    @property
    def smallest(self) -> StepMemory:
        """What a step takes of each device where a trial has as many as it may."""
        return shared(self.memory, self.most)


def shared(memory: StepMemory, devices: int) -> StepMemory:
    """What a step takes of each of several devices that share its batch."""
    return replace(memory, batch_size=math.ceil(memory.batch_size / devices))


def most_devices(slots: int, batch_size: int) -> int:
    """The largest power of two of devices that slots and batches allow: batch norm needs two images a device.

    >>> most_devices(6, 64), most_devices(8, 7)
    (4, 2)
    """
    return _powers(max(1, min(slots, batch_size // 2)))[-1]


def _powers(most: int) -> list[int]:
    return [2**exponent for exponent in range(most.bit_length())]
