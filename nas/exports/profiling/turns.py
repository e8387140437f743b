"""Turns of calls that are timed beside one another: clocks, warm-up, repeats, and an order anew in every round."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

Call = Callable[[], object]

LEAST_CALLS = 3
MOST_CALLS = 200
WARM_UP = 5
"""Runs whose median is compared with that of the runs before, until both agree."""
STABLE = 0.03
"""Relative difference of two medians that agree."""


@runtime_checkable
class SelfTimed(Protocol):
    """Call that knows the milliseconds it took on its own device, such as those between two events of a GPU."""

    def __call__(self) -> object:
        """Run once and wait for the end."""

    @property
    def milliseconds(self) -> float:
        """Milliseconds of the last run."""


@dataclass(frozen=True)
class Clocks:
    """Clocks of a run, in seconds.

    Attributes:
        wall: wall-clock time.
        processor: processor time of this process.
    """

    wall: Callable[[], float] = time.perf_counter
    processor: Callable[[], float] = time.process_time


class Times(NamedTuple):
    """Milliseconds of one run.

    Attributes:
        wall: by the wall clock.
        processor: by the processor's clock.
    """

    wall: float
    processor: float


def once(call: Call, clocks: Clocks) -> Times:
    """Return the milliseconds of one run, both the call's own where it knows them."""
    processor, wall = clocks.processor(), clocks.wall()
    call()
    wall, processor = clocks.wall() - wall, clocks.processor() - processor
    if isinstance(call, SelfTimed):
        return Times(call.milliseconds, call.milliseconds)
    return Times(1000 * wall, 1000 * processor)


def warm_up(call: Call, turn_ms: float, clocks: Clocks, longest: float = 0.0) -> int:
    """Run a call until its time is stable; return the repeats of a turn, from `LEAST_CALLS` to `MOST_CALLS`.

    Args:
        call: what is timed.
        turn_ms: milliseconds that the repeats of a turn shall take, positive.
        clocks: clocks.
        longest: seconds after which the warm-up ends in any case, once `WARM_UP` runs were made.
    """
    start, before = clocks.wall(), 0.0
    while True:
        recent = float(np.median([once(call, clocks).wall for _ in range(WARM_UP)]))
        if abs(recent - before) <= STABLE * recent or clocks.wall() - start >= longest:
            return max(LEAST_CALLS, min(MOST_CALLS, int(turn_ms / max(recent, 1e-6))))
        before = recent


def take_turn(call: Call, repeats: int, clocks: Clocks) -> list[Times]:
    """Run a call once unmeasured, since another one has used the caches, and return the times of `repeats` runs."""
    call()
    return [once(call, clocks) for _ in range(repeats)]


def rounds(names: Iterable[str], generator: random.Random) -> Iterator[list[str]]:
    """Yield the names in a random order without end, anew in every round."""
    order = list(names)
    while True:
        generator.shuffle(order)
        yield list(order)
