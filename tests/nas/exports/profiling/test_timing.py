"""Interleaved timing on fake clocks whose true times are known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nas.exports.profiling import timing
from nas.exports.profiling.timing import Clocks, TimingPlan, compare, median_interval, time_interleaved


class FakeMachine:
    """Clocks that calls move on, by their own time and now and then by a wait for the processor."""

    def __init__(self, waits: float = 0.0) -> None:
        self.wall, self.processor, self.random, self.waits = 0.0, 0.0, random.Random(0), waits

    def call(self, milliseconds: float) -> object:
        def run() -> None:
            took = milliseconds / 1000 * self.random.uniform(0.98, 1.02)
            self.processor += took
            self.wall += took * (5 if self.random.random() < self.waits else 1)

        return run

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.processor)


@pytest.mark.parametrize("waits", [0.0, 0.2])
def test_times_and_ratios_are_the_true_ones_also_where_repeats_wait(
    waits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = FakeMachine(waits)
    monkeypatch.setattr(timing, "reference_workload", lambda: machine.call(0.2))
    calls = {"a": machine.call(1.0), "b": machine.call(1.5)}
    plan = TimingPlan(seconds=2.0, single_thread=True)
    found = time_interleaved(calls, plan, machine.clocks)
    assert found["a"].median_ms == pytest.approx(1.0, rel=0.01)
    assert found["b"].low_ms <= 1.5 * 1.01
    assert found["b"].high_ms >= 1.5 * 0.99
    ratio = compare(found["b"], found["a"])
    assert ratio.low <= 1.5 * 1.005
    assert ratio.high >= 1.5 * 0.995
    assert ratio.ratio == pytest.approx(1.5, rel=0.01)
    assert found["a"].dropped == pytest.approx(waits, abs=0.06)


def test_intervals_of_independent_observations_hold_the_median() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(100):
        low, high = median_interval(generator.normal(0, 1, 60), seed)
        held += low <= 0 <= high
    assert held >= 88


def test_a_plan_is_checked() -> None:
    with pytest.raises(ValueError, match="seconds and turn_ms must be positive"):
        TimingPlan(seconds=0)
    with pytest.raises(ValueError, match="rounds must be at least least_rounds"):
        TimingPlan(rounds=10, least_rounds=16)
