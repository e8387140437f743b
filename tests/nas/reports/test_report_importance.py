"""Importance of choices, on invented studies where it is known."""

from __future__ import annotations

import random

import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from nas.objectives.pareto import Axis
from nas.reports.document.importance import MIN_BEST, importance, rank_correlation
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record

ACCURACY = Axis("val_accuracy", "maximize", False, 1.0, 0.1)
DOMAINS = {"width": IntDistribution(0, 32, step=4), "kind": CategoricalDistribution(("max", "avg"))}
DOMAINS |= {"other": IntDistribution(0, 32, step=4), "nested": IntDistribution(1, 3), "fixed": IntDistribution(3, 3)}


def record(number, params, accuracy):
    distributions = {path: DOMAINS[path] for path in params}
    candidate = Candidate(number, params, distributions, {}, str(number), str(number), "", {}, 0)
    return Record(number, "complete", candidate, (), TrainingState(), {"val_accuracy": accuracy}, None)


def invented(accuracy, trials=120):
    generator, records = random.Random(0), []
    for number in range(trials):
        params = {"width": generator.randrange(0, 36, 4), "other": generator.randrange(0, 36, 4), "fixed": 3}
        params["kind"] = generator.choice(["max", "avg"])
        if params["kind"] == "max":
            params["nested"] = generator.randint(1, 3)
        records.append(record(number, params, accuracy(params) + generator.gauss(0, 0.001)))
    return records


def test_the_choice_that_decides_is_found_beyond_chance():
    found = importance(invented(lambda params: 0.3 + params["width"] / 100), ACCURACY)
    first, *others = found.choices
    assert first.path == "width"
    assert first.share > 0.5 > first.chance
    assert first.effect.startswith("more is better, ρ +0.9")
    assert (found.trials, found.best) == (120, 12)
    assert sum(choice.share for choice in found.choices) == pytest.approx(1)
    assert {choice.path for choice in others} == {"other", "kind", "nested", "fixed"}


def test_less_may_be_better_and_a_nominal_choice_has_a_best_option():
    found = importance(invented(lambda params: 0.5 - params["width"] / 100 - 0.2 * (params["kind"] == "max")), ACCURACY)
    effects = {choice.path: choice.effect for choice in found.choices}
    assert effects["width"].startswith("less is better, ρ −0.")
    assert effects["kind"] == "best with avg"
    assert effects["fixed"] == "never varied"
    assert effects["other"].startswith("no clear trend")


def test_a_conditional_choice_counts_where_it_was_made():
    records = invented(lambda params: 0.5)
    made = {choice.path: choice.active for choice in importance(records, ACCURACY).choices}
    assert made["nested"] == sum("nested" in r.candidate.params for r in records) < 120
    assert made["width"] == 120


def test_pure_noise_is_mostly_within_chance():
    found = importance(invented(lambda params: 0.5), ACCURACY)
    assert sum(choice.share > choice.chance for choice in found.choices) <= 1


def test_it_is_the_same_every_time():
    records = invented(lambda params: 0.3 + params["width"] / 100, 40)
    assert importance(records, ACCURACY) == importance(records, ACCURACY)


@pytest.mark.parametrize(("trials", "best"), [(19, MIN_BEST), (3, 3), (0, 0)])
def test_too_few_trials_say_nothing(trials, best):
    found = importance(invented(lambda params: 0.5, trials), ACCURACY)
    assert (found.choices, found.trials, found.best) == ((), trials, best)


@pytest.mark.parametrize(
    ("second", "expected"),
    [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], -1.0), ([10, 20, 40, 30], 0.8), ([1, 1, 2, 2], 0.894427191)],
)
def test_a_rank_correlation_counts_order_alone_and_equal_values_share_a_rank(second, expected):
    assert rank_correlation([1, 2, 3, 4], second) == pytest.approx(expected)
    assert rank_correlation([1, 10, 100, 1000], second) == rank_correlation([1, 2, 3, 4], second)


def test_what_is_constant_correlates_with_nothing():
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0
