"""Full training of every trial, and policies by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine import AXES, candidate

from nas.config.fidelity import FidelitySpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.full import Full
from nas.fidelity.policy import Standing, Start, Thaw
from nas.study.training_state import TrainingState
from nas.study.trial import Record

HORIZON = Horizon(12, [AXES["val_accuracy"], AXES["macs"]], lambda curve, costs: {})


def frozen(*numbers: int) -> list[Record]:
    return [Record(number, "running", candidate(number), (), TrainingState(), None, None) for number in numbers]


def standing(*numbers: int, may_start: bool = True) -> Standing:
    waiting = frozen(*numbers)
    return Standing({record.number: record for record in waiting}, waiting, may_start)


def test_every_trial_is_trained_in_full() -> None:
    assert Full(12).decide(standing()) == Start(12)


@pytest.mark.parametrize("may_start", [True, False])
def test_what_is_unfinished_comes_first_the_oldest_of_it(may_start: bool) -> None:
    assert Full(12).decide(standing(3, 5, may_start=may_start)) == Thaw(3, 12)


def test_without_a_budget_and_with_nothing_unfinished_there_is_nothing_to_do() -> None:
    assert Full(12).decide(standing(may_start=False)) is None


def test_nothing_is_expected_of_trials_that_are_trained_in_full_anyway() -> None:
    assert Full(12).expected(standing(3, 5).records) == {}


def test_a_fidelity_is_found_by_its_name() -> None:
    assert isinstance(policy_of(FidelitySpec("full"), HORIZON), Full)
    for name in ("bohb", "policy", "halving"):
        with pytest.raises(ValueError, match=rf"fidelity.name must be one of .*full.*, got '{name}'"):
            policy_of(FidelitySpec(name), HORIZON)


@pytest.mark.parametrize(
    ("name", "every", "refused"),
    [
        ("full", 5, None),
        ("inherit", 5, None),
        ("freeze_thaw", 2, None),
        ("freeze_thaw", 3, "got epoch 4 of 12"),
        ("moasha", 2, "got epoch 1 of 12"),
        ("hyperband", 2, "got epoch 1 of 12"),
        ("first_epoch", 2, "got epoch 1 of 12"),
    ],
)
def test_trials_are_compared_only_where_all_are_validated(name: str, every: int, refused: str | None) -> None:
    horizon = replace(HORIZON, validate_every=every)
    if refused is None:
        policy_of(FidelitySpec(name), horizon)
        return
    with pytest.raises(ValueError, match=rf"must be multiples of training.validate_every={every}, {refused}"):
        policy_of(FidelitySpec(name), horizon)


def test_an_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"full takes \[\], got \['rung'\]"):
        policy_of(FidelitySpec("full", {"rung": 3}), HORIZON)
    with pytest.raises(ValueError, match=r"fidelity.name must be the name of a module, or a dotted path, got 'a b'"):
        FidelitySpec("a b")
