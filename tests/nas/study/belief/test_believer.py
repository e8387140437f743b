"""Belief about trained networks: luck is taken out, probabilities and intervals follow from the posterior."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from believed import AXES2, IMAGES, SPACE, believer, records, truth

from nas.objectives.pareto import Axis, front, losses
from nas.study.belief import Believer, Gap
from nas.study.belief.believer import sampling_deviations
from nas.study.belief.stored import believer_for, stored_believer
from nas.study.belief.surrogate import SurrogateFitter, milestone, regrets, relevant
from nas.study.trial import Repeat, State


def test_a_few_trials_and_a_space_that_cannot_be_read_are_taken_as_measured() -> None:
    few = records(3)
    assert believer().losses(few) == pytest.approx(losses(AXES2, [r.values for r in few if r.values]))
    many = records(12)
    stored = stored_believer({"space": {"name": "gone"}}, AXES2, None, None)
    assert stored.losses(many) == pytest.approx(losses(AXES2, [r.values for r in many if r.values]))
    assert stored.beliefs(many) == {}


def test_beliefs_are_closer_to_the_truth_than_measurements() -> None:
    many = records(40)
    true = np.array([AXES2[0].loss(truth(r.candidate.costs["macs"])) for r in many])
    measured = losses(AXES2, [r.values for r in many if r.values])[:, 0]
    believed = believer().losses(many)[:, 0]
    assert np.abs(believed - true).mean() < 0.7 * np.abs(measured - true).mean()


def test_luck_is_taken_out_and_exact_costs_stay() -> None:
    many = records(40)
    order = sorted(many, key=lambda record: record.candidate.costs["macs"])
    lucky, luck = order[20], 0.08
    honest = truth(lucky.candidate.costs["macs"])
    values = {"val_accuracy": honest + luck, "macs": float(lucky.candidate.costs["macs"])}
    many[lucky.number] = replace(lucky, values=values)
    found = believer().losses(many)
    accuracy = float(AXES2[0].value(found[lucky.number, 0]))
    assert accuracy - honest < 0.6 * luck
    assert found[:, 1] == pytest.approx(losses(AXES2, [r.values for r in many if r.values])[:, 1])
    front = believer().front(many)
    assert [r.candidate.costs["macs"] for r in front] == sorted(r.candidate.costs["macs"] for r in front)


def test_a_front_without_costs_is_sorted_by_what_is_minimized() -> None:
    axes = [*AXES2, Axis("depth", "minimize", False, 0.0, 9.0)]
    deep = {"val_accuracy": 0.9, "macs": 1e4, "depth": 8.0}
    shallow = {"val_accuracy": 0.5, "macs": 1e5, "depth": 1.0}
    pair = [replace(record, values=values) for record, values in zip(records(2), (shallow, deep), strict=True)]
    assert [record.values for record in Believer.of_measured(axes).front(pair)] == [deep, shallow]


def test_beliefs_do_not_depend_on_the_order_of_the_records() -> None:
    many = records(20)
    mixed = random.Random(1).sample(many, len(many))
    one, other = believer().losses(many), believer().losses(mixed)
    assert other == pytest.approx(one[[record.number for record in mixed]])


def test_probabilities_and_intervals_say_what_they_should() -> None:
    many = records(40)
    found = believer().beliefs(many)
    members = {record.number for record in believer().front(many)}
    assert np.mean([found[n].front_probability for n in members]) > 0.4
    assert np.mean([b.front_probability for n, b in found.items() if n not in members]) < 0.2
    held = 0
    for number, belief in found.items():
        low, high = belief.intervals["val_accuracy"]
        assert low < belief.means["val_accuracy"] < high
        held += low <= truth(many[number].candidate.costs["macs"]) <= high
    assert held >= 0.85 * len(found)
    assert all(0 <= belief.front_probability <= 1 for belief in found.values())


def test_repeats_narrow_an_interval() -> None:
    many = records(30, noise=0.05)
    values = many[0].values
    assert values is not None
    again = many[0]
    for seed in range(8):
        again = again.with_repeat(Repeat(seed, values=values))
    width = []
    for one in (many[0], again):
        low, high = believer().beliefs([one, *many[1:]])[0].intervals["val_accuracy"]
        width.append(high - low)
    assert width[1] < width[0]


def test_the_noise_of_a_validation_part_is_binomial() -> None:
    loss = Axis("val_loss", "minimize", False, 0.0, 3.0)
    assert sampling_deviations(loss, np.array([0.5]), 100).tolist() == [0.0]
    axis = Axis("val_accuracy", "maximize", False, 1.0, 0.1, error=True)
    assert sampling_deviations(axis, np.array([0.5]), None).tolist() == [0.0]
    few, many = (sampling_deviations(axis, np.array([0.5, 1.0]), images) for images in (100, 10_000))
    share = 0.5 / 0.9
    slope = 1 / (share + 0.02) / 0.9 / math.log(1.02 / 0.02)
    assert many[0] == pytest.approx(slope * math.sqrt(0.25 / 10_000), rel=1e-3)
    assert few[1] > 0
    assert few[0] / many[0] == pytest.approx(10, rel=0.02)


def test_contenders_are_the_front_and_those_close_to_it() -> None:
    many = records(40)
    worst = max(many, key=lambda record: record.candidate.costs["macs"])
    many[worst.number] = replace(worst, values={"val_accuracy": 0.11, "macs": float(worst.candidate.costs["macs"])})
    members = {record.number for record in believer().front(many)}
    contenders = believer().contenders(many)
    assert members <= contenders
    assert worst.number not in contenders
    assert Believer.of_measured(AXES2).contenders(many) == {r.number for r in Believer.of_measured(AXES2).front(many)}


@pytest.mark.parametrize("count", [1, 60])
@pytest.mark.parametrize("costs", [0, 1, 2])
def test_regrets_are_distances_from_the_best_at_no_higher_costs(costs: int, count: int) -> None:
    generator = np.random.default_rng(costs)
    values, known = generator.random(count), generator.random((count, costs))
    found = regrets(values, known)
    for row in range(count):
        better = (known <= known[row]).all(axis=1)
        assert found[row] == pytest.approx(values[row] - values[better].min())
    points = np.column_stack([values, known])
    assert set(front(points)) == set(np.flatnonzero(found == 0).tolist())


def test_relevant_rows_are_near_the_front_and_spread() -> None:
    generator = np.random.default_rng(0)
    values, costs = generator.random(400), generator.random((400, 1))
    kept = relevant(values, costs, 60)
    assert kept == sorted(set(kept))
    assert 50 <= len(kept) <= 60
    assert set(np.argsort(regrets(values, costs))[:30].tolist()) <= set(kept)
    assert relevant(values, costs, 400) == list(range(400))


def test_hyperparameters_change_at_milestones_alone() -> None:
    assert all(milestone(count) <= count for count in range(1, 500))
    assert [milestone(count) for count in (8, 16, 17, 18, 300)] == [8, 16, 16, 18, 289]
    layout = believer()._features.layout  # type: ignore[union-attr]  # it has one
    fitter = SurrogateFitter(layout)
    seen = []
    for count in (16, 17, 18):
        chosen = believer()
        chosen.losses(records(count))
        seen.append(chosen._fitters[0]._last[1].signal)  # type: ignore[index]  # it was fitted
    assert seen[0] == seen[1] != seen[2]
    assert fitter._last is None


def test_the_interval_of_a_difference_holds_the_true_difference() -> None:
    many, held, compared = records(40), 0, 0
    one = believer()
    for number in range(0, 38, 2):
        gap = one.gaps(many, number, number + 1)["val_accuracy"]
        true = truth(many[number + 1].candidate.costs["macs"]) - truth(many[number].candidate.costs["macs"])
        assert gap.interval is not None
        assert gap.interval[0] <= gap.mean <= gap.interval[1]
        held += gap.interval[0] <= true <= gap.interval[1]
        compared += 1
    assert 0.7 * compared <= held  # 90 % in the mean


def test_a_difference_the_other_way_round_is_its_negative() -> None:
    many, one = records(20), believer()
    there, back = (one.gaps(many, *pair)["val_accuracy"] for pair in ((3, 9), (9, 3)))
    assert there.mean == pytest.approx(-back.mean)
    assert one.gaps(many, 3, 3)["val_accuracy"] == Gap(0.0, (0.0, 0.0))


def test_the_difference_of_a_few_trials_is_as_measured() -> None:
    few = records(3)
    gap = believer().gaps(few, 0, 1)["val_accuracy"]
    first, second = ((few[number].values or {})["val_accuracy"] for number in (0, 1))
    assert gap.mean == pytest.approx(second - first)
    assert gap.interval is not None
    deviation = math.sqrt((first * (1 - first) + second * (1 - second)) / IMAGES)
    assert gap.interval[1] - gap.mean == pytest.approx(1.645 * deviation, rel=0.05)
    unknown = believer_for(SPACE, AXES2, {"macs": "macs"}, None).gaps(few, 0, 1)["val_accuracy"]
    assert unknown.interval is None


def test_a_trial_without_a_result_has_no_difference() -> None:
    many = records(12)
    many[5] = replace(many[5], values=None, state=State.RUNNING)
    assert believer().gaps(many, 5, 6) == {}
    assert believer().gaps(many, 6, 99) == {}
