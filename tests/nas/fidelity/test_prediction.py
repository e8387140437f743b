"""Predicted ends of learning curves."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from engine import AXES, OBJECTIVES, TWO, candidate

from nas.fidelity.factory import Horizon
from nas.fidelity.prediction import GAIN_MEAN, NOISE, CurvePredictor, full_seconds, regress
from nas.jobs import Curve, Epoch
from nas.objectives.pareto import ERROR_SHIFT
from nas.objectives.values import objective_values
from nas.study.training_state import TrainingState
from nas.study.trial import Record

HORIZON = Horizon(9, [AXES[name] for name in TWO], partial(objective_values, [OBJECTIVES[name] for name in TWO]))


def learnt(skill: float, epochs: int, noise: float = 0.0) -> Curve:
    """Return a learning curve whose training loss determines the end, while its accuracy so far is noisy."""
    return tuple(
        Epoch(e, math.exp(1 - skill) / e, 1.0, 0.5 + 0.2 * skill - 0.3 / e + noise / e, 0.5, 2.0)
        for e in range(1, epochs + 1)
    )


def record(number: int, skill: float, *, complete: bool, noise: float = 0.0) -> Record:
    curve = learnt(skill, 9 if complete else 3, noise)
    costs = {"params": 1000 * math.exp(skill), "macs": 50_000 * math.exp(skill), "memory_mib": 0.1}
    values = {"val_accuracy": curve[-1].val_accuracy, "macs": costs["macs"]} if complete else None
    state = "complete" if complete else "running"
    return Record(number, state, candidate(number, costs=costs), curve, TrainingState(), values, None)


def test_ends_are_predicted_from_what_complete_trials_did() -> None:
    generator = np.random.default_rng(0)
    skills, noise = generator.uniform(0, 1, 30), generator.normal(0, 0.1, 30)
    records = [record(i, skills[i], complete=i < 20, noise=noise[i]) for i in range(30)]
    expected = CurvePredictor(HORIZON, records).predict(records[20:])
    ends = [learnt(skills[i], 9, noise[i])[-1].val_accuracy for i in range(20, 30)]
    errors = [expected[20 + i].values["val_accuracy"] - end for i, end in enumerate(ends)]
    assert np.std(errors) < 0.2 * np.std(ends)
    assert all(abs(e) < 4 * expected[20 + i].deviation for i, e in enumerate(errors))
    assert expected[20].values["macs"] == records[20].candidate.costs["macs"]
    assert expected[20].seconds == pytest.approx(18.0)


def unvalidated(curve: Curve, *epochs: int) -> Curve:
    none = {"val_loss": None, "val_accuracy": None, "val_balanced_accuracy": None}
    return tuple(replace(row, **none) if row.epoch in epochs else row for row in curve)


def test_epochs_without_validation_are_not_compared() -> None:
    """Predict a trial of three validated epochs and one more from peers that were validated after the third."""
    plain = [record(i, 0.1 * i, complete=i < 8) for i in range(10)]
    expected = CurvePredictor(HORIZON, plain).predict(plain[8:])
    sparse = [replace(each, curve=unvalidated(each.curve, 1, 2, 4, 5, 7, 8)) for each in plain]
    assert CurvePredictor(HORIZON, sparse).predict(sparse[8:]) == expected
    more = replace(sparse[8], curve=unvalidated(learnt(0.8, 4), 1, 2, 4))
    assert CurvePredictor(HORIZON, sparse).predict([more])[8].values == expected[8].values
    none = replace(sparse[8], curve=unvalidated(learnt(0.8, 2), 1, 2))
    assert CurvePredictor(HORIZON, sparse).predict([none]) == {}
    with_less = [*sparse, replace(record(11, 0.5, complete=False), curve=unvalidated(learnt(0.5, 3), 1, 2, 3))]
    assert CurvePredictor(HORIZON, with_less).predict(sparse[8:]) == expected


def test_before_anything_is_complete_networks_keep_their_rank_and_gain_what_networks_do() -> None:
    records = [record(i, skill, complete=False) for i, skill in enumerate((0.1, 0.5, 0.9))]
    expected = CurvePredictor(HORIZON, records).predict(records)
    axis = AXES["val_accuracy"]
    now = np.log([axis.loss(r.curve[-1].val_accuracy) + ERROR_SHIFT for r in records])
    ends = [math.log(axis.loss(expected[i].values["val_accuracy"]) + ERROR_SHIFT) for i in range(3)]
    assert ends == pytest.approx(list(now - GAIN_MEAN * now.std()))
    assert all(outlook.deviation > 0.01 for outlook in expected.values())


def test_a_trial_without_a_curve_is_not_predicted_and_one_alone_is_no_trouble() -> None:
    blank = Record(4, "running", candidate(4), (), TrainingState(), None, None)
    alone = record(5, 0.5, complete=False)
    expected = CurvePredictor(HORIZON, [blank, alone]).predict([blank, alone])
    assert list(expected) == [5]
    assert math.isfinite(expected[5].values["val_accuracy"])
    assert full_seconds(alone, 9) == pytest.approx(18.0)


def test_a_loss_that_is_not_finite_is_no_trouble() -> None:
    odd = record(0, 0.5, complete=False)
    rows = tuple(Epoch(e.epoch, math.nan, 1.0, e.val_accuracy, 0.5, 1.0) for e in odd.curve)
    records = [Record(0, "running", odd.candidate, rows, TrainingState(), None, None), record(1, 0.6, complete=True)]
    assert math.isfinite(CurvePredictor(HORIZON, records).predict(records[:1])[0].values["val_accuracy"])


def test_the_regression_is_the_ridge_and_doubts_more_where_nothing_was_seen() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(50, 2))
    y = 0.7 + x @ [0.4, -0.3] + 0.1 * generator.normal(size=50)
    means, deviations = regress(x, y, np.array([[0.0, 0.0], [1.0, 1.0], [30.0, 0.0]]))
    assert means[:2] == pytest.approx([0.7, 0.8], abs=0.07)
    assert deviations[2] > 2 * deviations[0]
    none, wide = regress(np.zeros((0, 2)), np.zeros(0), np.zeros((1, 2)))
    assert none == pytest.approx([GAIN_MEAN])
    assert wide == pytest.approx([math.sqrt(NOISE**2 + 1.0)])
