"""Scores of simulated searches: ground truth, curve, bounds and bootstrap intervals."""

from __future__ import annotations

import math

import pytest

from nas.objectives.pareto import Axis
from nas.tabular.simulation.intervals import estimate
from nas.tabular.simulation.scores import Score, ceiling, oracle, score
from nas.tabular.simulation.trace import SearchTrace, Snapshot
from nas.tabular.simulation.truth import Truth, axes_around

POINTS = {
    "cheap": {"macs": 1e3, "error": 0.4},
    "middle": {"macs": 1e4, "error": 0.2},
    "accurate": {"macs": 1e5, "error": 0.1},
    "poor": {"macs": 5e4, "error": 0.45},
    "worse": {"macs": 9e4, "error": 0.5},
}
AXES = (Axis("macs", "minimize", True, 1e3, 1e6), Axis("error", "minimize", False, 0.0, 0.5))
SECONDS = {"cheap": 1.0, "middle": 2.0, "accurate": 4.0, "poor": 3.0, "worse": 3.0}
TRUTH = Truth(POINTS, SECONDS, 2.0, AXES)


def trace(*steps: Snapshot) -> SearchTrace:
    return SearchTrace(0, 0, "budget", steps, (), {})


def test_shares_are_areas_in_the_plane_of_log_macs_and_error() -> None:
    assert TRUTH.front == ("cheap", "middle", "accurate")
    cheap, middle, accurate = 1.0 * 0.2, 2 / 3 * 0.6, 1 / 3 * 0.8  # each alone: width in the box times height
    assert TRUTH.share(["cheap"]) * TRUTH.best == pytest.approx(cheap)
    union = 1 / 3 * 0.2 + 1 / 3 * 0.6 + 1 / 3 * 0.8
    assert TRUTH.best == pytest.approx(union)
    assert TRUTH.share(["accurate"]) == pytest.approx(accurate / union)
    assert TRUTH.share(["middle", "poor", "beyond the limits"]) == pytest.approx(middle / union)
    assert TRUTH.share([]) == 0.0


def test_the_reference_point_lies_a_tenth_beyond_the_front_below_the_median_error() -> None:
    macs, error = axes_around(list(POINTS.values()))  # the median error is that of the cheapest
    assert (macs.best, error.best) == (1e3, 0.1)
    assert macs.worst == pytest.approx(1e5 * 10**0.2)
    assert error.worst == pytest.approx(0.4 + 0.03)
    better = [*POINTS.values(), {"macs": 2e4, "error": 0.3}, {"macs": 2e4, "error": 0.35}]
    assert axes_around(better)[1].worst == pytest.approx(0.2 + 0.01)  # now the median is 0.35: from `middle` on


def test_a_front_of_one_network_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"one network alone of 2 is cheapest and most accurate: 10 MACs, error 0.1000"
    ):
        axes_around([{"macs": 10.0, "error": 0.1}, {"macs": 20.0, "error": 0.2}])


def test_a_curve_is_charged_with_trainings_and_on_request_with_the_driver() -> None:
    steps = trace(Snapshot(4.0, 4.0, 1.0, ("cheap",)), Snapshot(6.0, 6.0, 3.0, ("cheap", "middle")))
    plain, charged = (score(steps, TRUTH, 10.0, charge_driver=thinking) for thinking in (False, True))
    assert [spent for spent, _ in plain.curve] == [2.0, 3.0]
    assert [spent for spent, _ in charged.curve] == [2.5, 4.5]
    assert [share for _, share in plain.curve] == [share for _, share in charged.curve]
    assert plain.at(1.9) == 0.0
    assert plain.at(2.0) == plain.at(2.9) == TRUTH.share(["cheap"])
    assert plain.share == plain.at(99.0)


def test_snapshots_after_the_horizon_are_ignored() -> None:
    late = score(trace(Snapshot(4.0, 4.0, 0.0, ("cheap",)), Snapshot(9.0, 9.0, 0.0, TRUTH.front)), TRUTH, 4.0)
    assert late.share == TRUTH.share(["cheap"])
    assert late.reached(0.95) == math.inf
    assert late.to_json()["reached"]["0.95"] is None


def test_the_area_is_the_mean_logarithm_of_the_gap() -> None:
    one = Score(((2.0, 0.9), (6.0, 0.99)), 10.0)
    assert one.area == pytest.approx((0 * 2 + -1 * 4 + -2 * 4) / 10)
    assert Score((), 10.0).area == 0.0
    assert Score(((0.0, 1.0),), 10.0).area == pytest.approx(-3.0)  # no gap counts as a thousandth
    assert (one.reached(0.8), one.reached(0.95), Score((), 1.0).share) == (2.0, 6.0, 0.0)


def test_the_oracle_trains_the_front_alone_by_hypervolume_a_second() -> None:
    best = oracle(TRUTH, 10.0)
    assert best.share == pytest.approx(1.0)
    assert best.curve[-1][0] == (1.0 + 2.0 + 4.0) / 2.0
    first = max(TRUTH.front, key=lambda name: TRUTH.share([name]) / SECONDS[name])
    assert best.curve[0] == (SECONDS[first] / 2.0, TRUTH.share([first]))


def test_the_ceiling_is_the_share_of_the_front_by_validation_error() -> None:
    assert ceiling(POINTS, TRUTH) == pytest.approx(1.0)
    deceived = {**POINTS, "poor": {"macs": 5e2, "error": 0.0}}
    assert ceiling(deceived, TRUTH) == TRUTH.share(["poor"])


def test_a_median_and_its_interval() -> None:
    ten = estimate([float(n) for n in range(1, 11)])
    assert ten.median == 5.5
    assert 2.0 <= ten.low < 5.5 < ten.high <= 9.0
    assert estimate([3.0]).low == estimate([3.0]).high == 3.0
    assert estimate([3.0, 1.0, 2.0]) == estimate([1.0, 2.0, 3.0])
    never = estimate([1.0, 2.0, math.inf, math.inf, math.inf])
    assert (never.median, never.high) == (math.inf, math.inf)
    assert never.low < math.inf
    with pytest.raises(ValueError, match="an interval needs at least one value"):
        estimate([])
