"""Interleaved timing on fake clocks whose true times are known."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.exports.profiling import timing
from nas.exports.profiling.intervals import median_interval
from nas.exports.profiling.timing import TimingPlan, compare, time_interleaved
from nas.exports.profiling.turns import LEAST_CALLS, MOST_CALLS, Clocks, warm_up


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


def autoregressive(coefficient: float, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return a stationary series around 0 in which each observation is the one before, scaled, with new noise."""
    series = [generator.normal() / np.sqrt(1 - coefficient**2)]
    for noise in generator.normal(size=count - 1):
        series.append(coefficient * series[-1] + noise)
    return np.array(series)


@pytest.mark.parametrize("count", [24, 60, 250])
@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_intervals_hold_the_median_also_of_observations_that_depend_on_their_neighbours(
    coefficient: float, count: int
) -> None:
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        low, high = median_interval(autoregressive(coefficient, count, generator), seed)
        held += low <= 0 <= high
    assert held >= 180


def test_intervals_of_independent_observations_are_little_wider_than_the_quantiles_of_their_medians() -> None:
    generator = np.random.default_rng(0)
    series = generator.normal(size=(100, 200))
    low, high = np.quantile(np.median(series, axis=1), [0.025, 0.975])
    widths = [np.subtract(*median_interval(row)[::-1]) for row in series]
    assert 0.9 * (high - low) <= np.median(widths) <= 1.7 * (high - low)


def test_an_outlying_turn_in_ten_widens_no_interval_without_bound() -> None:
    generator = np.random.default_rng(0)
    series = generator.normal(size=200)
    disturbed = np.where(generator.random(200) < 0.1, series + 1000, series)
    usual, found = (np.subtract(*median_interval(row)[::-1]) for row in (series, disturbed))
    assert found < 2 * usual


def test_an_interval_of_equal_observations_is_their_value() -> None:
    assert median_interval(np.full(20, 0.25)) == (0.25, 0.25)


def test_a_warm_up_ends_where_the_time_is_stable_and_gives_the_repeats_of_a_turn() -> None:
    machine, runs = FakeMachine(), 0

    def settling() -> None:
        nonlocal runs
        runs += 1
        machine.wall += 0.001 * max(1, 30 - runs)

    assert warm_up(settling, 20, machine.clocks, longest=60) in (19, 20)
    assert runs > 30
    assert warm_up(machine.call(1e-3), 5, machine.clocks) == MOST_CALLS  # type: ignore[operator]
    assert warm_up(machine.call(100), 5, machine.clocks) == LEAST_CALLS  # type: ignore[operator]


def test_a_plan_is_checked() -> None:
    with pytest.raises(ValueError, match="seconds and turn_ms must be positive"):
        TimingPlan(seconds=0)
    with pytest.raises(ValueError, match="rounds must be at least least_rounds"):
        TimingPlan(rounds=10, least_rounds=24)
