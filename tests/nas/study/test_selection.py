"""Selection of trials by `best`, `knee`, `front` and a number, within limits."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from engine import AXES, candidate
from hypothesis import given
from hypothesis import strategies as st

from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis, losses
from nas.study.belief import Believer
from nas.study.selection import pick_records
from nas.study.summary import front_records
from nas.study.training_state import TrainingState
from nas.study.trial import Record

AXES2 = [AXES["val_accuracy"], AXES["macs"]]


def record(number: int, accuracy: float | None, macs: int = 5000, **costs: float) -> Record:
    asked = candidate(number, costs={"params": 100, "macs": macs, "memory_mib": 0.5, **costs})
    values = None if accuracy is None else {"val_accuracy": accuracy, "macs": float(macs)}
    return Record(number, "running" if values is None else "complete", asked, (), TrainingState(), values, None)


RECORDS = [
    record(0, 0.5, 10_000),
    record(1, 0.9, 800_000),
    record(2, 0.85, 60_000),
    record(3, None),
    record(4, 0.4, 50_000),
    record(5, 0.9, 700_000),
]


def picked(pick: str, records: list[Record] = RECORDS, axes: list[Axis] = AXES2, **limits: float) -> list[int]:
    return [found.number for found in pick_records(records, Believer.of_measured(axes), pick, Limits(**limits))]  # type: ignore[arg-type]  # int and float both serve


def test_best_is_the_most_accurate_and_among_equals_the_cheapest() -> None:
    assert picked("best") == [5]


def test_front_is_cheapest_first() -> None:
    assert picked("front") == [0, 2, 5]


def test_knee_is_the_middle_of_a_convex_front() -> None:
    assert picked("knee") == [2]


def test_a_number_is_that_trial_in_any_state() -> None:
    assert [picked(str(number)) for number in (0, 3, 4)] == [[0], [3], [4]]


def test_trials_beyond_the_limits_are_removed_first() -> None:
    assert picked("best", max_macs=100_000) == [2]
    assert picked("front", max_macs=55_000) == [0]
    assert picked("front", max_macs=100_000) == [0, 2]


@pytest.mark.parametrize("records", [[record(0, 0.3)], [record(0, 0.3), record(1, 0.2, 4000)]])
def test_the_knee_of_a_front_without_a_middle_is_its_best_end(records: list[Record]) -> None:
    assert picked("knee", records) == picked("best", records) == [0]


def test_a_concave_front_has_its_knee_at_its_best_end() -> None:
    concave = [record(0, 0.2, 10_000), record(1, 0.21, 90_000), record(2, 0.9, 100_000)]
    assert picked("knee", concave) == [2]


def test_one_objective_alone() -> None:
    assert picked("knee", axes=AXES2[:1]) == picked("best", axes=AXES2[:1]) == [1]


def distance(points: list[tuple[float, float]], index: int) -> float:
    """Return the signed distance from the line between a front's ends, positive towards better values."""
    (x1, y1), (x2, y2) = points[0], points[-1]
    x, y = points[index]
    return -((y2 - y1) * (x - x1) - (x2 - x1) * (y - y1)) / math.hypot(y2 - y1, x2 - x1)


@given(st.lists(st.tuples(st.integers(10, 99), st.integers(2_000, 900_000)), min_size=3, max_size=12))
def test_the_knee_is_farthest_from_the_line_between_the_ends(points: list[tuple[int, int]]) -> None:
    records = [record(number, accuracy / 100, macs) for number, (accuracy, macs) in enumerate(points)]
    front = sorted(
        front_records(records, AXES2), key=lambda found: -(found.values or {})["macs"]
    )  # from the accurate end to the cheap one
    rows = losses(AXES2, [found.values for found in front if found.values])
    ends = [(float(a), float(b)) for a, b in rows]
    assert all(one[0] <= two[0] for one, two in pairwise(ends))
    chosen = picked("knee", records)[0]
    index = [found.number for found in front].index(chosen)
    if len(front) > 1:
        side = 1 if distance([(0.0, 1.0), (0.0, 0.0), (1.0, 0.0)], 1) > 0 else -1
        distances = [side * distance(ends, at) for at in range(len(ends))]
        assert distances[index] == pytest.approx(max(distances), abs=1e-6)


@pytest.mark.parametrize(
    ("pick", "limits", "message"),
    [
        ("worst", {}, "pick must be best, knee, front or a trial's number, got 'worst'"),
        ("-1", {}, "pick must be best, knee, front or a trial's number, got '-1'"),
        ("6", {}, "pick must be one of the 6 trials of the study, counted from 0, got 6"),
        (
            "best",
            {"max_macs": 9_000},
            r"none of 5 meets them; nearest is trial 0: its macs 10,000 exceeds limits.max_macs=9,000",
        ),
        ("1", {"max_params": 50}, r"pick=1 must meet the limits, but its params 100 exceeds limits.max_params=50"),
    ],
)
def test_a_wrong_pick_is_refused(pick: str, limits: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        picked(pick, **limits)


def test_without_a_complete_trial_there_is_nothing_to_pick() -> None:
    with pytest.raises(ValueError, match="pick needs a complete trial, none of the 1 in the study is"):
        picked("best", [replace(RECORDS[3], number=0)])
