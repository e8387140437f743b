"""Fronts against brute force, hypervolumes against inclusion and exclusion, and the laws of an axis."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nas.objectives.pareto import Axis, dominated, front, hypervolume, hypervolumes, losses

MACS = Axis("macs", "minimize", True, 1e3, 1e6)
ACCURACY = Axis("val_accuracy", "maximize", False, 1.0, 0.1)
SHARP = Axis("val_accuracy", "maximize", False, 1.0, 0.1, error=True)
WRONG = Axis("wrong", "minimize", False, 0.0, 0.8, error=True)
AXES = [MACS, ACCURACY, SHARP, WRONG]

# A grid of few values makes ties and duplicates frequent.
grid = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, math.nan])
clouds = st.tuples(st.integers(0, 12), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=grid)
)


def brute_front(points: NDArray[np.float64]) -> list[tuple[float, ...]]:
    rows = {tuple(map(float, row)) for row in points if not np.isnan(row).any()}
    dominated = {a for a, b in itertools.permutations(rows, 2) if all(y <= x for x, y in zip(a, b, strict=True))}
    return sorted(rows - dominated)


def inclusion_exclusion(points: NDArray[np.float64]) -> float:
    boxes = [row for row in points if not np.isnan(row).any() and (row < 1).all()]
    total = 0.0
    for size in range(1, len(boxes) + 1):
        for chosen in itertools.combinations(boxes, size):
            total -= (-1) ** size * float(np.prod(1 - np.maximum(np.max(chosen, axis=0), 0)))
    return total


@given(clouds)
def test_the_front_is_that_of_brute_force_each_point_once(points: NDArray[np.float64]) -> None:
    chosen = front(points)
    assert [tuple(map(float, points[i])) for i in chosen] == brute_front(points)


def test_of_equal_points_the_first_is_on_the_front() -> None:
    assert front(np.array([[0.5, 0.9], [0.2, 0.3], [0.2, 0.3], [0.1, 0.8]])) == [3, 1]


def test_one_objective_has_one_best_point() -> None:
    assert front(np.array([[0.4], [0.2], [0.9], [0.2]])) == [1]


def test_no_points_have_no_front_and_cover_nothing() -> None:
    assert front(losses([ACCURACY, MACS], [])) == []
    assert hypervolume(losses([ACCURACY, MACS], [])) == 0.0
    assert front(np.full((3, 2), math.nan)) == []
    assert losses([], [{}, {}]).shape == (2, 0)


@settings(max_examples=60)
@given(clouds)
def test_the_hypervolume_is_that_of_inclusion_and_exclusion(points: NDArray[np.float64]) -> None:
    assert hypervolume(points[:8]) == pytest.approx(inclusion_exclusion(points[:8]), abs=1e-12)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_the_hypervolume_is_the_share_that_darts_hit(objectives: int) -> None:
    generator = np.random.default_rng(objectives)
    points = generator.random((7, objectives)) * 1.1
    darts = generator.random((200_000, objectives))
    hit = (darts[:, None, :] >= points[None]).all(axis=2).any(axis=1)
    assert hypervolume(points) == pytest.approx(hit.mean(), abs=4 * 0.5 / math.sqrt(len(darts)))


@given(clouds.filter(lambda points: len(points) > 0), st.integers(0, 11))
def test_a_point_more_never_covers_less_and_a_dominated_one_covers_no_more(
    points: NDArray[np.float64], index: int
) -> None:
    index %= len(points)
    without = np.delete(points, index, axis=0)
    assert hypervolume(points) >= hypervolume(without) - 1e-12
    if index not in front(points):
        assert hypervolume(points) == pytest.approx(hypervolume(without), abs=1e-12)


@given(clouds)
def test_hypervolumes_of_a_sequence_are_those_of_its_beginnings(points: NDArray[np.float64]) -> None:
    expected = [hypervolume(points[: count + 1]) for count in range(len(points))]
    assert hypervolumes(points) == pytest.approx(expected, abs=1e-12)


def test_hypervolumes_begin_at_zero_with_a_point_outside_the_box() -> None:
    found = hypervolumes(np.array([[0.5, 1.0], [0.5, 0.5], [0.75, 0.75], [0.0, 0.9], [0.5, 0.5]]))
    assert found == pytest.approx([0.0, 0.25, 0.25, 0.30, 0.30])


@given(clouds, clouds)
def test_a_point_is_dominated_by_what_is_no_worse_anywhere_and_better_somewhere(
    points: NDArray[np.float64], by: NDArray[np.float64]
) -> None:
    by = by[:, : points.shape[1]]
    points = points[:, : by.shape[1]]
    pairs = [[(other <= point).all() and (other < point).any() for other in by] for point in points]
    assert dominated(points, by).tolist() == [any(row) for row in pairs]


def test_a_point_better_than_the_best_end_covers_no_more_than_the_box() -> None:
    assert hypervolume(np.array([[-3.0, -0.5]])) == 1.0
    assert hypervolume(np.array([[-3.0, 1.0]])) == 0.0


def test_losses_are_zero_at_the_best_end_and_one_at_the_worst() -> None:
    ends = [{"val_accuracy": 1.0, "macs": 1e3}, {"val_accuracy": 0.1, "macs": 1e6}, {"val_accuracy": 0.55, "macs": 1e9}]
    assert losses([ACCURACY, MACS], ends) == pytest.approx(np.array([[0, 0], [1, 1], [0.5, 2]]))


@given(st.floats(1, 1e12), st.floats(1, 1e12))
def test_a_loss_grows_with_a_cost_and_falls_with_an_accuracy(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert MACS.loss(low) <= MACS.loss(high)
    assert ACCURACY.loss(high) <= ACCURACY.loss(low)


@pytest.mark.parametrize(("accuracy", "error"), [(1.0, 0.0), (0.91, 0.1), (0.55, 0.5), (0.1, 1.0), (0.01, 1.1)])
def test_the_loss_of_an_error_is_its_shifted_logarithm(accuracy: float, error: float) -> None:
    expected = math.log((error + 0.02) / 0.02) / math.log(1.02 / 0.02)
    assert SHARP.loss(accuracy) == pytest.approx(expected, abs=1e-12)
    assert WRONG.loss(0.8 * error) == pytest.approx(expected, abs=1e-12)


def test_the_scale_of_an_error_grows_with_the_value() -> None:
    assert SHARP.scaled(0.91) == pytest.approx(-math.log10(0.12))
    assert WRONG.scaled(0.08) == pytest.approx(math.log10(0.12))


def test_an_accuracy_above_all_is_taken_as_one_without_error() -> None:
    assert SHARP.loss(1.5) == 0.0
    assert SHARP.losses(np.array([1.5])).tolist() == [0.0]


@pytest.mark.parametrize("axis", AXES, ids=["cost", "accuracy", "sharp", "wrong"])
def test_losses_of_many_values_are_those_of_each(axis: Axis) -> None:
    values = np.array([0.0, 0.05, 0.3, 0.75, 1.0, 2e3, 5e6])
    assert axis.losses(values) == pytest.approx([axis.loss(value) for value in values])


def test_a_cost_of_nothing_on_a_logarithmic_axis_is_finite() -> None:
    assert math.isfinite(MACS.loss(0.0))
    assert MACS.loss(0.0) < 0


def test_an_axis_survives_json() -> None:
    for axis in (*AXES, Axis("latency", "minimize", True, 1.0, 9.0, unit="ms")):
        assert Axis(**axis.to_json()) == axis
    assert MACS.to_json().keys() == {"name", "direction", "log", "best", "worst"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "up"}, "direction must be one of .*, got 'up' for macs"),
        ({"best": 0.0}, "a logarithmic axis needs positive ends, got 0.0 and 1000000.0 for macs"),
        ({"best": 2e6}, "minimize needs its ends in that order, got 2000000.0 to 1000000.0 for macs"),
        ({"direction": "maximize"}, "maximize needs its ends in that order"),
        ({"best": 1e6}, "an axis needs two finite ends"),
        ({"best": 1e6, "direction": "maximize"}, "an axis needs two finite ends"),
        ({"worst": math.inf}, "an axis needs two finite ends, got 1000.0 and inf for macs"),
        ({"worst": math.nan}, "an axis needs two finite ends"),
    ],
)
def test_an_impossible_axis_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Axis(**{**MACS.to_json(), **changes})


@pytest.mark.parametrize(
    ("axis", "changes"),
    [(SHARP, {"best": 1.1}), (SHARP, {"log": True}), (WRONG, {"best": -0.1}), (WRONG, {"worst": -0.1})],
)
def test_an_error_needs_ends_that_are_errors(axis: Axis, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="an error has a logarithmic scale from 0 on, and an accuracy one up to 1"):
        Axis(**{**axis.to_json(), **changes})


@pytest.mark.parametrize("axis", AXES, ids=["cost", "accuracy", "sharp", "wrong"])
def test_a_loss_leads_back_to_its_value(axis: Axis) -> None:
    values = np.array([2e3, 5e5]) if axis.log else np.array([0.2, 0.7])
    assert axis.value(np.array([axis.loss(value) for value in values])) == pytest.approx(values)
