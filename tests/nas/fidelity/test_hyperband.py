"""Hyperband: brackets and budgets in closed form, and promotions inside one bracket alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from engine import AXES, candidate, curve
from hypothesis import given
from hypothesis import strategies as st

from nas.config.fidelity import FidelitySpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.hyperband import Hyperband, bracket_sizes, brackets, spread
from nas.fidelity.policy import Prune, Standing, Start, Thaw
from nas.study.training_state import TrainingState
from nas.study.trial import Record, State

HORIZON = Horizon(
    9,
    [AXES["val_accuracy"], AXES["macs"]],
    lambda curve, costs: {"val_accuracy": curve[-1].val_accuracy, "macs": costs["macs"]},
)
POLICY = Hyperband(HORIZON, 1 / 9, 3.0)
"""Brackets (1, 3, 9), (3, 9) and (9,) of sizes 9, 5 and 3."""


def trial(number: int, epochs: int, accuracy: float, goal: int | None = None) -> Record:
    """Return a trial that is frozen after some epochs; all of the same costs."""
    known = replace(candidate(number), costs={"params": 100, "macs": 5000, "memory_mib": 0.25})
    return Record(
        number, State.RUNNING, known, curve(epochs, accuracy), TrainingState(to_epoch=goal or epochs), None, None
    )


def standing(*waiting: Record, may_start: bool = True) -> Standing:
    return Standing({record.number: record for record in waiting}, waiting, may_start)


def numbers(bracket: int, count: int) -> list[int]:
    """Return the first numbers of trials of a bracket."""
    return [number for number in range(17 * count) if POLICY.bracket_of(number) == bracket][:count]


def test_the_example_of_the_paper() -> None:
    """Li et al. 2018, R = 81 and η = 3: five brackets, of which the first is 81 trials of one epoch."""
    assert brackets(81, 1 / 81, 3.0) == [(1, 3, 9, 27, 81), (3, 9, 27, 81), (9, 27, 81), (27, 81), (81,)]
    assert bracket_sizes(4, 3.0) == [81, 34, 15, 8, 5]


@given(most=st.integers(0, 5), reduction=st.floats(2.0, 5.0))
def test_every_bracket_has_the_budget_of_the_last_one_to_a_trial(most: int, reduction: float) -> None:
    """A rung of bracket s costs n_s η^-i trials times R η^(i-s) epochs: n_s η^-s full trainings, at each of s + 1."""
    for s, size in zip(range(most, -1, -1), bracket_sizes(most, reduction), strict=True):
        trainings = (s + 1) * size * reduction**-s
        assert most + 1 <= trainings + 1e-6 <= most + 1 + (s + 1) * reduction**-s + 1e-5


@given(epochs=st.integers(1, 300), least=st.floats(0.001, 0.999), reduction=st.floats(1.5, 6.0))
def test_brackets_end_with_a_full_training_and_begin_no_earlier_than_allowed(
    epochs: int, least: float, reduction: float
) -> None:
    found = brackets(epochs, least, reduction)
    assert found[-1] == (epochs,)
    for rungs in found:
        assert rungs[-1] == epochs
        assert rungs == tuple(sorted(set(rungs)))
        assert rungs[0] >= max(1, round(least * epochs) - 1)
    assert [rungs[0] for rungs in found] == sorted(rungs[0] for rungs in found)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_every_beginning_has_the_brackets_in_their_shares(sizes: list[int]) -> None:
    order = spread(sizes)
    assert Counter(order) == dict(enumerate(sizes))
    for length in range(1, len(order)):
        for index, size in enumerate(sizes):
            assert abs(order[:length].count(index) - size * length / len(order)) < len(sizes)


def test_the_bracket_of_a_trial_follows_from_its_number() -> None:
    first = [POLICY.bracket_of(number) for number in range(17)]
    assert Counter(first) == {0: 9, 1: 5, 2: 3}
    assert first == [POLICY.bracket_of(number) for number in range(17, 34)]
    for number, bracket in enumerate(first):
        ended = {earlier: replace(trial(earlier, 9, 0.5), state=State.PRUNED) for earlier in range(number)}
        assert POLICY.decide(Standing(ended, [], True)) == Start([1, 3, 9][bracket])


def test_the_best_of_three_of_one_bracket_is_promoted_whatever_the_others_have() -> None:
    mine, others = numbers(0, 3), numbers(1, 2)
    waiting = [*(trial(n, 1, 0.3 + 0.1 * i) for i, n in enumerate(mine)), *(trial(n, 3, 0.9) for n in others)]
    waiting.sort(key=lambda record: record.number)
    assert POLICY.decide(standing(*waiting)) == Thaw(mine[2], 3)


def test_the_promotion_to_the_highest_rung_comes_first() -> None:
    early, late = numbers(0, 3), numbers(1, 3)
    waiting = [*(trial(n, 1, 0.5 + 0.1 * i) for i, n in enumerate(early)), *(trial(n, 3, 0.2) for n in late)]
    waiting.sort(key=lambda record: record.number)
    assert POLICY.decide(standing(*waiting)) == Thaw(late[0], 9)


def test_an_interrupted_training_goes_on_first_and_at_the_end_the_others_are_pruned() -> None:
    one, other = numbers(0, 2)
    assert POLICY.decide(standing(trial(one, 1, 0.5), trial(other, 2, 0.5, goal=3))) == Thaw(other, 3)
    assert POLICY.decide(standing(trial(one, 1, 0.5), may_start=False)) == Prune(one)
    assert POLICY.decide(standing(may_start=False)) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"least": 0.0}, r"fidelity.options.least must lie in \(0, 1\), got 0.0"),
        ({"least": 1.0}, r"fidelity.options.least must lie in \(0, 1\), got 1.0"),
        ({"reduction": 1.0}, "fidelity.options.reduction must be above 1, got 1.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy_of(FidelitySpec("hyperband", options), HORIZON)


def test_a_study_that_another_policy_began_goes_on() -> None:
    """A trial before the first rung of its bracket is trained to it; one between two rungs counts at the lower one."""
    one, *others = numbers(1, 4)
    assert POLICY.decide(standing(trial(one, 1, 0.5))) == Thaw(one, 3)
    waiting = [trial(one, 4, 0.9), *(trial(number, 3, 0.3) for number in others)]
    assert POLICY.decide(standing(*waiting)) == Thaw(one, 9)


def test_a_trial_that_was_not_validated_at_a_rung_is_no_rival_there() -> None:
    """Curves trained elsewhere may lack the scores of an epoch."""
    members = [trial(number, 1, 0.5 + number / 1000) for number in numbers(0, 4)]
    unscored = trial(numbers(0, 5)[-1], 3, 0.9)
    row = replace(unscored.curve[0], val_loss=None, val_accuracy=None, val_balanced_accuracy=None)
    unscored = replace(unscored, state=State.COMPLETE, curve=(row, *unscored.curve[1:]))
    decided = POLICY.decide(Standing({r.number: r for r in [*members, unscored]}, members, may_start=False))
    assert decided == POLICY.decide(standing(*members, may_start=False))
