"""Decisions of freeze–thaw and of asynchronous successive halving."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from engine import AXES, OBJECTIVES, TWO, candidate

from nas.config.fidelity import FidelitySpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.freeze_thaw import FreezeThaw, Settings
from nas.fidelity.moasha import Moasha
from nas.fidelity.policy import Decision, Policy, Prune, Standing, Start, Thaw
from nas.fidelity.rungs import next_rung, rung_epochs
from nas.jobs import Epoch
from nas.objectives.values import objective_values
from nas.study.training_state import TrainingState
from nas.study.trial import Prospects, Record

HORIZON = Horizon(9, [AXES[name] for name in TWO], partial(objective_values, [OBJECTIVES[name] for name in TWO]))
SMALL = FreezeThaw(HORIZON, Settings(start=3, finished=2))


def record(
    number: int,
    accuracy: float,
    epochs: int = 3,
    *,
    state: str = "running",
    macs: int = 50_000,
    goal: int | None = None,
) -> Record:
    curve = tuple(Epoch(e, 2.0 - accuracy, 1.0, accuracy, accuracy, 1.0) for e in range(1, epochs + 1))
    about = candidate(number, costs={"params": 1000, "macs": macs, "memory_mib": 1.0})
    values = {"val_accuracy": accuracy, "macs": float(macs)} if state == "complete" else None
    return Record(number, state, about, curve, TrainingState(to_epoch=goal), values, None)


def decide(
    records: list[Record], policy: Policy = SMALL, running: tuple[int, ...] = (), **facts: Any
) -> Decision | None:
    waiting = [r for r in records if r.state == "running" and r.number not in running]
    return policy.decide(Standing({r.number: r for r in records}, waiting, **{"may_start": True, **facts}))


def test_the_first_networks_all_stop_at_the_rung() -> None:
    assert decide([]) == Start(3)
    assert decide([record(0, 0.5), record(1, 0.6)]) == Start(3)


def test_then_the_one_of_highest_expected_improvement_is_finished_until_enough_are() -> None:
    records = [record(0, 0.6), record(1, 0.8), record(2, 0.2)]
    assert decide(records) == Thaw(1, 9)
    records[1] = record(1, 0.8, 9, state="complete")
    assert decide(records) == Thaw(0, 9)
    assert decide([records[0], records[1], record(2, 0.5, macs=2000)]) == Thaw(2, 9)  # far cheaper: it adds more
    assert decide([record(0, 0.6, 9, state="complete"), records[1], records[2]]) == Start(3)


def test_a_thaw_follows_two_starts() -> None:
    records = [record(n, 0.5 + n / 20, 9, state="complete") for n in range(2)] + [record(2, 0.4), record(3, 0.5)]
    assert decide(records) == Thaw(3, 9)  # due: 2 + 0.5 for the fourth network
    records[3] = record(3, 0.5, goal=9)
    assert decide(records, running=(3,)) == Start(3)


def test_with_acquisition_values_of_the_sampler_the_higher_of_both_is_taken() -> None:
    records = [record(n, 0.5 + n / 20, 9, state="complete") for n in range(2)] + [record(2, 0.4), record(3, 0.5)]

    def says(new: float) -> Callable[[], Prospects]:
        return lambda: Prospects(new, {2: 0.3, 3: 0.2})

    assert decide(records, prospects=says(0.2)) == Thaw(2, 9)
    assert decide(records, prospects=says(0.5)) == Start(3)
    keen = FreezeThaw(HORIZON, Settings(start=3, finished=2, eager=0.5))
    assert decide(records, keen, prospects=says(0.5)) == Thaw(2, 9)
    assert decide(records[1:], prospects=says(0.4)) == Thaw(3, 9)  # too few are finished for it to say much


def test_improvement_counts_by_the_second_not_by_the_job() -> None:
    ahead = FreezeThaw(HORIZON, Settings(rungs=(1 / 3, 2 / 3), start=2, finished=1))
    records = [record(0, 0.5, 6, goal=6), record(1, 0.5, 3)]
    assert decide([*records, record(2, 0.1)], ahead) == Thaw(0, 9)  # three seconds to go instead of six


def test_what_was_cut_short_is_taken_up_first() -> None:
    assert decide([record(0, 0.5), record(1, 0.5, 2)]) == Thaw(1, 3)
    assert decide([record(0, 0.5), record(1, 0.5, 5, goal=9)]) == Thaw(1, 9)
    assert decide([record(0, 0.5), record(1, 0.5, 9, goal=9)]) == Thaw(1, 9)  # trained, and killed before it was told


def test_at_the_end_what_can_reach_the_front_is_finished_and_the_others_are_given_up() -> None:
    records = [record(0, 0.9, 9, state="complete"), record(1, 0.85), record(2, 0.1), record(3, 0.2)]
    assert decide(records, may_start=False) == Thaw(1, 9)
    records[1] = record(1, 0.85, 9, state="complete")
    assert decide(records, may_start=False) in (Prune(2), Prune(3))
    assert decide(records[:2], may_start=False) is None


def test_without_trainings_left_everything_is_given_up() -> None:
    assert decide([record(0, 0.9), record(1, 0.5)], may_start=False, trainings_left=0.0) == Prune(0)


def test_nothing_new_starts_that_could_not_be_finished() -> None:
    records = [record(n, 0.5 + n / 20, 9, state="complete") for n in range(3)] + [record(3, 0.9)]
    assert decide(records, seconds_left=100.0) == Start(3)
    assert decide(records, seconds_left=5.0) == Thaw(3, 9)


def test_trials_at_a_rung_or_given_up_there_are_expected_to_end_somehow() -> None:
    records = [record(0, 0.7, 9, state="complete"), record(1, 0.5), record(2, 0.4, state="pruned"), record(3, 0.5, 1)]
    expected = SMALL.expected({r.number: r for r in records})
    assert list(expected) == [1, 2]
    assert expected[1].values["val_accuracy"] > expected[2].values["val_accuracy"]


def test_halving_goes_on_with_the_best_third_of_a_rung_the_highest_rung_first() -> None:
    policy = Moasha(HORIZON, (1 / 9, 1 / 3), 3.0)
    records = [record(0, 0.3, 1), record(1, 0.5, 1)]
    assert decide(records, policy) == Start(1)
    records.append(record(2, 0.4, 1))
    assert decide(records, policy) == Thaw(1, 3)
    assert decide(records, policy, running=(1,)) == Start(1)
    above = [record(n, 0.2 + n / 10, 3, goal=3) for n in range(3, 6)]
    assert decide([*records, *above], policy) == Thaw(5, 9)
    assert decide([record(0, 0.3, 1), record(1, 0.5, 9, state="complete")], policy, may_start=False) == Prune(0)


def test_rungs_are_epochs_and_the_last_one_is_the_whole_training() -> None:
    assert rung_epochs([0.5], 3) == (2, 3)
    assert rung_epochs([0.01], 12) == (1, 12)
    assert rung_epochs([0.9], 2) == (2,)
    assert next_rung(record(0, 0.5, 3), (3, 6, 9)) == 6
    assert next_rung(record(0, 0.5, 9), (3, 6, 9)) == 9


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("freeze_thaw", {"rungs": [1.0]}, "fidelity.options.rungs must be shares of a training in (0, 1), got [1.0]"),
        ("freeze_thaw", {"rungs": []}, "fidelity.options.rungs must be shares of a training in (0, 1), got []"),
        ("freeze_thaw", {"finished": 0}, "fidelity.options must have 1 <= finished <= start, got 0 and 8"),
        ("freeze_thaw", {"thaws": 0}, "fidelity.options.thaws must be positive, got 0"),
        ("freeze_thaw", {"eager": -1}, "fidelity.options.eager must be positive, got -1"),
        ("freeze_thaw", {"hope": 1.0}, "fidelity.options.hope must lie in [0, 1), got 1.0"),
        (
            "freeze_thaw",
            {"rung": 3},
            "freeze_thaw takes ['rungs', 'start', 'finished', 'thaws', 'eager', 'hope'], got ['rung']",
        ),
        ("moasha", {"reduction": 1.0}, "fidelity.options.reduction must be above 1, got 1.0"),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        policy_of(FidelitySpec(name, options), HORIZON)
