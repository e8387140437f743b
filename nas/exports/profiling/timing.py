"""Timing of several calls in one interleaved run, with intervals that hold on a machine that others use too.

Neighbours on a shared machine disturb for seconds on end, so repeats that follow one another say the same thing twice.
Therefore the calls take turns in a random order anew in every round, the median of a turn is one observation, and the
interval of the median respects how observations depend on their neighbours (`intervals`). A reference workload takes
its turn in every round; by how much it is slower than its own undisturbed time tells what the machine did to everything
else, and the interval reaches down by that factor.

Where a call keeps to one thread of this process, the processor time shows preemption: repeats that waited for the
processor are left out and counted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.exports.profiling.intervals import BATCHES, median_interval
from nas.exports.profiling.turns import Call, Clocks, SelfTimed, Times, rounds, take_turn, warm_up

REFERENCE = "reference workload"
"""Name of the workload that takes turns with the calls."""
STEADY = 1.05
"""Largest slowdown of the reference workload in a steady run."""
WAITED = 1.05
"""Ratio of wall to processor time from which on a repeat has waited for the processor."""
LATE_MS = 0.02
"""Wall time beyond the processor time, in milliseconds, that the clocks themselves explain."""
UNDISTURBED = 0.05
"""Quantile of the reference workload's turns that counts as its undisturbed time."""
LEAST_KEPT = 3
"""Undisturbed repeats of a turn below which its processor times are taken."""


@dataclass(frozen=True)
class TimingPlan:
    """Extent of a run.

    Attributes:
        seconds: longest time of the rounds together, in seconds, positive; `least_rounds` are run in any case.
        rounds: most rounds, at least `least_rounds`.
        least_rounds: least rounds, at least 8.
        turn_ms: milliseconds of repeats that a call makes in its turn, at least `LEAST_CALLS` repeats.
        warmup_seconds: longest warm-up of a call.
        single_thread: whether calls use one thread of this process alone, so that processor time shows preemption.
        reference_ms: undisturbed milliseconds of the reference workload, as far as known from earlier runs.
        seed: seed of the order and of the bootstrap.

    Raises:
        ValueError: a value out of range.
    """

    seconds: float = 10.0
    rounds: int = 200
    least_rounds: int = 24
    turn_ms: float = 5.0
    warmup_seconds: float = 2.0
    single_thread: bool = False
    reference_ms: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.seconds > 0 or not self.turn_ms > 0 or self.warmup_seconds < 0:
            raise ValueError(f"seconds and turn_ms must be positive, got {self.seconds:g} and {self.turn_ms:g}")
        if not BATCHES <= self.least_rounds <= self.rounds:
            raise ValueError(
                f"rounds must be at least least_rounds, and those {BATCHES}, got {self.rounds}, {self.least_rounds}"
            )


@dataclass(frozen=True)
class Timing:
    """Times of one call.

    Attributes:
        median_ms: median milliseconds of a run, over the turns.
        low_ms: lower end of the 95 % interval of the undisturbed median.
        high_ms: upper end.
        repeats: repeats that count.
        steady: whether the reference workload showed no disturbance beyond `STEADY`.
        dropped: share of the repeats that were left out because they waited for the processor.
        slowdown: ratio of the reference workload's time to its undisturbed one, at least 1.
        lowest_ms: least milliseconds of a turn.
        turns: median milliseconds of each round's turn.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int
    steady: bool
    dropped: float = 0.0
    slowdown: float = 1.0
    lowest_ms: float = 0.0
    turns: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Ratio:
    """Ratio of two times that were measured in the same rounds.

    Attributes:
        ratio: median over the rounds.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    ratio: float
    low: float
    high: float


def reference_workload() -> Call:
    """Return a call of about 0.2 ms that uses one thread, the arithmetic units and the caches."""
    generator = np.random.default_rng(0)
    values = generator.random(1 << 16, dtype=np.float32)  # 256 KiB
    scratch = np.empty_like(values)
    small = generator.random((48, 48), dtype=np.float32)

    def work() -> None:
        for _ in range(4):
            np.multiply(values, 1.0001, out=scratch)
            np.add(scratch, values, out=scratch)
            np.einsum("ij,jk->ik", small, small)

    return work


def time_interleaved(calls: Mapping[str, Call], plan: TimingPlan, clocks: Clocks | None = None) -> dict[str, Timing]:
    """Return the times of calls that take turns in a random order, with those of `REFERENCE`.

    Args:
        calls: what is timed, by name, at least one; a name other than `REFERENCE`.
        plan: extent of the run.
        clocks: clocks; None for the machine's.
    """
    clocks = clocks or Clocks()
    everything = {**calls, REFERENCE: reference_workload()}
    repeats = {name: warm_up(call, plan.turn_ms, clocks, plan.warmup_seconds) for name, call in everything.items()}
    turns: dict[str, list[_Turn]] = {name: [] for name in everything}
    start = clocks.wall()
    for done, order in enumerate(islice(rounds(everything, random.Random(plan.seed)), plan.rounds)):
        if done >= plan.least_rounds and clocks.wall() - start > plan.seconds:
            break
        for name in order:
            times = take_turn(everything[name], repeats[name], clocks)
            turns[name].append(_turn(times, plan.single_thread and not isinstance(everything[name], SelfTimed)))
    slow = slowdown_of(np.array([turn.ms for turn in turns[REFERENCE]]), plan.reference_ms)
    return {name: _timing(turns[name], slow, plan.seed) for name in everything}


def compare(first: Timing, second: Timing, seed: int = 0) -> Ratio:
    """Return the ratio of the first call's time to the second's, by the rounds that they shared.

    What disturbs both in a round cancels out.

    Args:
        first: times of a call.
        second: times of another call of the same run.
        seed: seed of the bootstrap.
    """
    logs = np.log(np.array(first.turns)) - np.log(np.array(second.turns))
    low, high = median_interval(logs, seed)
    return Ratio(float(np.exp(np.median(logs))), float(np.exp(low)), float(np.exp(high)))


@dataclass(frozen=True)
class _Turn:
    ms: float
    kept: int
    made: int


def _turn(times: Sequence[Times], single_thread: bool) -> _Turn:
    """Return the median of a turn; on a single thread, of the repeats that did not wait for the processor."""
    repeats = len(times)
    if not single_thread:
        return _Turn(float(np.median([wall for wall, _ in times])), repeats, repeats)
    undisturbed = [wall for wall, processor in times if wall <= WAITED * processor + LATE_MS]
    if len(undisturbed) < min(LEAST_KEPT, repeats):
        return _Turn(float(np.median([processor for _, processor in times])), len(undisturbed), repeats)
    return _Turn(float(np.median(undisturbed)), len(undisturbed), repeats)


def slowdown_of(reference: NDArray[np.float64], undisturbed: float | None = None) -> float:
    """Return the ratio of the reference workload's median to its undisturbed time, at least 1.

    Args:
        reference: milliseconds of its turns (n,).
        undisturbed: undisturbed milliseconds as far as known from earlier runs; None for none.
    """
    best = float(np.quantile(reference, UNDISTURBED))
    best = best if undisturbed is None else min(best, undisturbed)
    return max(1.0, float(np.median(reference)) / best)


def _timing(turns: Sequence[_Turn], slow: float, seed: int) -> Timing:
    kept, made = sum(turn.kept for turn in turns), sum(turn.made for turn in turns)
    found = timing_of(np.array([turn.ms for turn in turns]), slow, seed)
    return replace(found, repeats=kept, dropped=1 - kept / made)


def timing_of(series: NDArray[np.float64], slow: float, seed: int = 0) -> Timing:
    """Return the times of a call from its turns, each one observation of one repeat.

    Args:
        series: milliseconds of the turns (n,), at least 2.
        slow: slowdown of the reference workload, at least 1.
        seed: seed of the bootstrap.
    """
    low, high = median_interval(np.log(series), seed)
    return Timing(
        median_ms=float(np.median(series)),
        low_ms=float(np.exp(low)) / slow,
        high_ms=float(np.exp(high)),
        repeats=len(series),
        steady=slow <= STEADY,
        slowdown=slow,
        lowest_ms=float(series.min()),
        turns=tuple(series.tolist()),
    )


def latency_document(name: str, timing: Timing, first: Timing, seed: int = 0) -> dict[str, Any]:
    """Return the latency of a network as a document, with its ratio to that of the first network of the run."""
    ratio = compare(timing, first, seed)
    return {
        "network": name,
        "median_ms": timing.median_ms,
        "low_ms": timing.low_ms,
        "high_ms": timing.high_ms,
        "repeats": timing.repeats,
        "ratio": {"ratio": ratio.ratio, "low": ratio.low, "high": ratio.high},
    }
