"""Expected hypervolume improvement against Monte Carlo, against numerical integrals, and where its value is plain."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from nas.objectives import expected_improvement as module
from nas.objectives.expected_improvement import (
    BoxDecomposition,
    box_decomposition,
    expected_hypervolume_improvement,
    expected_improvement,
    expected_log_improvement,
)
from nas.objectives.pareto import hypervolume

DIMENSIONS = [0, 1, 2, 3, 4]


def points(seed: int, dimensions: int, count: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Losses and costs in [0.05, 1.05]: a few of them outside of the box."""
    generator = np.random.default_rng(seed)
    return generator.uniform(0.05, 1.05, count), generator.uniform(0.05, 1.05, (count, dimensions))


def improvement(losses: np.ndarray, costs: np.ndarray, loss: float, cost: np.ndarray) -> float:
    """By two hypervolumes, of moocore."""
    known = np.column_stack([losses, costs])
    return hypervolume(np.vstack([known, [loss, *cost]])) - hypervolume(known)


@pytest.mark.parametrize("dimensions", DIMENSIONS)
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_integral_of_the_improvement_over_the_density(dimensions: int, seed: int) -> None:
    losses, costs = points(seed, dimensions)
    cost = np.random.default_rng(seed + 100).uniform(0.1, 0.8, dimensions)
    mean, deviation = 0.45, 0.08
    exact = expected_hypervolume_improvement(
        box_decomposition(losses, costs), cost[None], np.array([mean]), np.array([deviation])
    )[0]
    ends = sorted({0.0, 1.0, *(float(loss) for loss in losses if loss < 1)})

    def integrand(loss: float) -> float:
        return improvement(losses, costs, loss, cost) * float(norm.pdf(loss, mean, deviation))

    numeric = sum(quad(integrand, low, high, epsabs=1e-10)[0] for low, high in pairwise(ends))
    assert exact == pytest.approx(numeric, abs=1e-7)


@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_it_is_the_mean_of_improvements_drawn_at_random(dimensions: int) -> None:
    losses, costs = points(7, dimensions, 12)
    cost = np.full(dimensions, 0.2)
    drawn = np.random.default_rng(1).normal(0.3, 0.07, 4000)
    gains = [improvement(losses, costs, loss, cost) for loss in drawn]
    exact = expected_hypervolume_improvement(
        box_decomposition(losses, costs), cost[None], np.array([0.3]), np.array([0.07])
    )[0]
    assert exact == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / math.sqrt(len(gains)) + 1e-12)


@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 20))
@settings(max_examples=60)
def test_boxes_fill_the_box_and_have_the_level_of_the_best_point_below(seed: int, dimensions: int, count: int) -> None:
    losses, costs = points(seed, dimensions, count)
    found = box_decomposition(losses, costs)
    for place in np.random.default_rng(seed).uniform(0, 1, (20, dimensions)):
        around = ((found.lower <= place) & (place < found.upper)).all(axis=1)
        below = losses[(costs <= place).all(axis=1)]
        assert around.sum() == 1
        assert found.level[around][0] == min([*below, 1.0])


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=30)
def test_no_box_is_empty_where_points_share_a_cost(seed: int, dimensions: int) -> None:
    losses, costs = points(seed, dimensions)
    found = box_decomposition(losses, np.round(costs, 1))
    assert (found.lower < found.upper).all()


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=30)
def test_a_network_without_doubt_adds_what_it_adds(seed: int, dimensions: int) -> None:
    losses, costs = points(seed, dimensions)
    cost = np.random.default_rng(seed).uniform(0, 1.2, (5, dimensions))
    loss = np.random.default_rng(seed).uniform(0, 1.2, 5)
    exact = expected_hypervolume_improvement(box_decomposition(losses, costs), cost, loss, np.zeros(5))
    plain = [improvement(losses, costs, *pair) for pair in zip(loss, cost, strict=True)]
    assert exact == pytest.approx(plain, abs=1e-9)


def test_with_one_cost_the_boxes_are_intervals_between_costs_of_the_front() -> None:
    losses, costs = np.array([0.6, 0.2, 0.4, 0.5]), np.array([[0.1], [0.7], [0.3], [0.8]])  # the last is dominated
    found = box_decomposition(losses, costs)
    order = np.argsort(found.lower[:, 0])
    assert found.lower[order, 0].tolist() == [-math.inf, 0.1, 0.3, 0.7]
    assert found.upper[order, 0].tolist() == [0.1, 0.3, 0.7, 1.0]
    assert found.level[order].tolist() == [1.0, 0.6, 0.4, 0.2]


def test_without_costs_it_is_the_expected_improvement() -> None:
    assert box_decomposition(np.array([0.4, 0.3]), np.zeros((2, 0))).level.tolist()[0] == 0.3
    losses, none = np.array([0.4, 0.3, 0.7]), np.zeros((3, 0))
    exact = expected_hypervolume_improvement(
        box_decomposition(losses, none), np.zeros((1, 0)), np.array([0.3]), np.array([0.1])
    )
    assert exact == pytest.approx([0.1 / math.sqrt(2 * math.pi)])  # z = 0: σ φ(0)
    assert expected_improvement(np.array([0.3]), np.array([0.3]), np.array([0.1])) == pytest.approx(exact)


@pytest.mark.parametrize("best", [0.05, 0.3, 0.9])
def test_the_improvement_of_a_loss_whose_logarithm_is_normal(best: float) -> None:
    mean, deviation, shift = math.log(0.3), 0.4, 0.02
    exact = expected_log_improvement(shift)(np.array([best]), np.array([mean]), np.array([deviation]))[0]

    def integrand(log: float) -> float:
        return max(best - (math.exp(log) - shift), 0.0) * float(norm.pdf(log, mean, deviation))

    numeric = quad(integrand, mean - 8 * deviation, math.log(best + shift))[0]
    assert exact == pytest.approx(numeric, abs=1e-9)


def test_what_is_worse_than_the_reference_counts_for_nothing() -> None:
    losses, costs = np.array([0.2, 0.6, 0.9]), np.array([[0.5], [0.3], [0.1]])
    known = box_decomposition(losses, costs, reference=0.7)
    assert sorted(known.level) == [0.2, 0.6, 0.7]
    gain = expected_hypervolume_improvement(known, np.array([[0.1]]), np.array([0.5]), np.array([0.0]))
    assert gain == pytest.approx([0.2 * 0.2 + 0.2 * 0.1])  # down to 0.7 from 0.1 to 0.3, then down from 0.6 to 0.5


def test_before_the_first_network_everything_in_the_box_is_a_gain() -> None:
    empty = box_decomposition(np.zeros(0), np.zeros((0, 2)))
    gain = expected_hypervolume_improvement(empty, np.array([[0.5, 0.25]]), np.array([0.4]), np.array([0.0]))
    assert gain == pytest.approx([0.5 * 0.75 * 0.6])
    assert expected_hypervolume_improvement(empty, np.zeros((0, 2)), np.zeros(0), np.zeros(0)).shape == (0,)


def test_thousands_at_once_come_to_the_same_as_one_by_one() -> None:
    losses, costs = points(3, 2, 40)
    generator = np.random.default_rng(0)
    many, means = generator.uniform(0, 1, (3000, 2)), generator.uniform(0, 1, 3000)
    deviations = np.full(3000, 0.05)
    known = box_decomposition(losses, costs)
    together = expected_hypervolume_improvement(known, many, means, deviations)
    some = [0, 17, 2999]
    alone = [expected_hypervolume_improvement(known, many[[i]], means[[i]], deviations[[i]])[0] for i in some]
    assert together[some] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize(
    ("candidates", "dimensions", "together"), [(2, 3, 4), (3, 2, 4), (2, 1, 12), (2, 0, 12), (30, 1, 1)]
)
def test_as_many_boxes_are_summed_at_once_as_memory_is_given(
    candidates: int, dimensions: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 24)
    lower, upper = np.zeros((25, dimensions)), np.ones((25, dimensions))
    seen = []

    def improvement(best: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        seen.append(best.shape[1])
        return expected_improvement(best, means, deviations)

    boxes = BoxDecomposition(lower, upper, np.linspace(0.1, 1, 25))
    place, mean = np.full((candidates, dimensions), 0.5), np.full(candidates, 0.3)
    gain = expected_hypervolume_improvement(boxes, place, mean, np.full(candidates, 0.1), improvement)
    assert sum(seen) == 25
    assert max(seen) == together
    one = expected_improvement(boxes.level, mean[:1], np.full(1, 0.1)).sum() * 0.5**dimensions
    assert gain == pytest.approx(np.full(candidates, one))


def test_no_network_is_a_loss_even_by_rounding() -> None:
    means = math.log(1.02) + np.linspace(0, 4e-11, 1000)  # without doubt, and a hair worse than the best
    nothing, none = box_decomposition(np.zeros(0), np.zeros((0, 0))), np.zeros((1000, 0))
    gain = expected_hypervolume_improvement(nothing, none, means, np.zeros(1000), expected_log_improvement(0.02))
    assert gain.min() >= 0
