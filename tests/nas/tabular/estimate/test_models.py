"""Models of an estimate against closed forms: seconds of an epoch, extrapolation, imagined curves, ranges as text."""

from __future__ import annotations

import random

import pytest

from nas.config.budget import Budget
from nas.reports.estimate_table import range_text
from nas.tabular.estimate.seconds import fit, work
from nas.tabular.estimate.spending import Mark, extrapolated
from nas.tabular.estimate.worlds import WORLDS, World, curve
from search_space.lowering import lower
from search_space.space import parse_space
from tests.support.engine import IMAGE, SMALL


def test_seconds_of_an_epoch_are_found_again_from_networks_that_follow_the_law():
    space, draw = parse_space(SMALL, IMAGE, 10), random.Random(0)
    graphs = [lower(space.draw(draw)) for _ in range(12)]
    law = (0.05, 0.002, 3e-8, 1e-6)
    seconds = [sum(weight * amount for weight, amount in zip(law, work(graph), strict=True)) for graph in graphs]
    model = fit([work(graph) for graph in graphs[:8]], seconds[:8])
    assert [model.predict(graph) for graph in graphs[8:]] == pytest.approx(seconds[8:], rel=1e-3)


def test_the_spread_of_predictions_shrinks_with_exact_networks_and_grows_with_noise():
    works = [(1.0, float(n), 0.0, 0.0) for n in range(1, 31)]
    exact = fit(works, [0.1 * n for n in range(1, 31)]).spread
    noisy = fit(works, [0.1 * n * (1.5 if n % 2 else 0.5) for n in range(1, 31)]).spread
    assert exact < 0.06
    assert noisy > 0.4


def test_work_is_never_negative_and_one_network_is_enough():
    model = fit([(1.0, 10.0, 1e5, 1e4)], [2.0])
    assert all(weight >= 0 for weight in model.weights)
    assert sum(w * x for w, x in zip(model.weights, (1.0, 10.0, 1e5, 1e4), strict=True)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(trials=20, training_seconds=4.0), Mark(90.0, 20, 80.0)),
        (Budget(trials=None, minutes=2, training_seconds=4.0), Mark(120.0, 28, 110.0)),
        (Budget(trials=None, trainings=15, training_seconds=4.0), Mark(70.0, 15, 60.0)),
        (Budget(trials=10, training_seconds=4.0), Mark(50.0, 10, 40.0)),
    ],
    ids=["trials", "minutes", "trainings", "over"],
)
def test_a_search_that_is_cut_short_goes_on_at_the_pace_of_its_later_half(budget, expected):
    assert extrapolated([Mark(0.0, 0, 0.0), Mark(30.0, 5, 20.0), Mark(50.0, 10, 40.0)], budget) == expected


def test_larger_networks_are_better_in_every_world_by_its_gain():
    for world in WORLDS:
        small, large = (sum(world.error(size, str(n)) for n in range(200)) / 200 for size in (0.0, 1.0))
        spared = world.gain * (1.0 if world.bend == 0 else 1 - 2.718281828459045**-world.bend)
        assert small - large == pytest.approx(spared, abs=0.01)


def test_an_imagined_curve_ends_at_its_error_and_is_validated_as_often_as_a_real_one():
    rows = curve(World("any", 0.3, 0.0).error(1.0, "a"), 6, 0.5, validate_every=4)
    assert [row.validated for row in rows] == [False, False, False, True, False, True]
    assert rows[-1].val_accuracy == pytest.approx(1.0 - World("any", 0.3, 0.0).error(1.0, "a"))
    assert rows[3].val_accuracy < rows[5].val_accuracy
    assert sum(row.seconds for row in rows) == 3.0


def test_a_range_whose_ends_read_alike_is_one_number():
    assert range_text("seconds", {"low": 12.2, "high": 12.4}) == "12 s"
