"""Cohorts compared after their first epoch: trials that are continued or pruned, and their order."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from engine import AXES, EPOCHS, OBJECTIVES, TINY, TWO, FakeExecutor, Setting, counts, curve, told
from engine import candidate as made

from nas.config.budget import Budget
from nas.config.fidelity import FidelitySpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.first_epoch import FirstEpoch
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.fidelity.ranking import select_best
from nas.objectives.values import objective_values
from nas.study.study import open_study
from nas.study.training_state import TrainingState
from nas.study.trial import Record

HORIZON = Horizon(EPOCHS, [AXES[name] for name in TWO], partial(objective_values, [OBJECTIVES[name] for name in TWO]))
POLICY = FirstEpoch(HORIZON, cohort=4, best=2, epochs=1)


def record(number: int, accuracy: float, epochs: int = 1, state: str = "running", macs: int = 5000) -> Record:
    about = made(number, costs={"params": 1, "macs": macs, "memory_mib": 1.0})
    return Record(number, state, about, curve(epochs, accuracy), TrainingState(), None, None)


def decide(records: list[Record], running: tuple[int, ...] = (), may_start: bool = True) -> Decision | None:
    waiting = [r for r in records if r.state == "running" and r.number not in running]
    return POLICY.decide(Standing({r.number: r for r in records}, waiting, may_start))


def test_a_cohort_is_filled_before_anything_is_decided() -> None:
    assert decide([]) == Start(1)
    assert decide([record(0, 0.9), record(1, 0.1), record(2, 0.5)]) == Start(1)


def test_the_best_of_a_whole_cohort_go_on_and_the_others_are_given_up() -> None:
    records = [record(n, accuracy) for n, accuracy in enumerate((0.3, 0.9, 0.5, 0.1))]
    assert decide(records) == Prune(0)
    records[0] = record(0, 0.3, state="pruned")
    assert decide(records) == Thaw(1, EPOCHS)
    records[1] = record(1, 0.2, epochs=EPOCHS, state="complete")  # that it ends badly changes nothing
    assert decide(records) == Thaw(2, EPOCHS)
    records[2] = record(2, 0.5, state="failed")
    assert decide(records) == Prune(3)
    records[3] = record(3, 0.1, state="pruned")
    assert decide(records) == Start(1)


def test_a_cheap_network_goes_on_beside_an_accurate_one() -> None:
    records = [record(n, a, macs=m) for n, (a, m) in enumerate([(0.9, 9000), (0.89, 9000), (0.2, 2000), (0.1, 9500)])]
    assert decide(records) == Thaw(0, EPOCHS)
    assert decide(records, running=(0,)) == Prune(1)
    records[1] = record(1, 0.89, state="pruned")
    assert decide(records, running=(0,)) == Thaw(2, EPOCHS)


def test_nothing_is_decided_while_a_member_trains_its_first_epoch() -> None:
    records = [record(0, 0.3), record(1, 0.9), record(2, 0.5), record(3, 0.0, epochs=0)]
    assert decide(records, running=(3,)) == Start(1)
    assert decide(records, running=(3,), may_start=False) is None
    records[3] = record(3, 0.0, epochs=0, state="failed")
    assert decide(records) == Prune(0)  # of three rivals one goes on


def test_what_was_cut_short_is_taken_up_first() -> None:
    assert decide([record(0, 0.5), record(1, 0.5, epochs=0)]) == Thaw(1, 1)
    assert decide([record(0, 0.5), record(1, 0.5, epochs=2)]) == Thaw(1, EPOCHS)


def test_at_the_end_the_last_cohort_is_settled_as_it_stands() -> None:
    records = [record(0, 0.3), record(1, 0.9)]
    assert decide(records, may_start=False) == Prune(0)
    assert decide([record(1, 0.9)], may_start=False) == Thaw(1, EPOCHS)
    assert decide([record(0, 0.3, state="pruned")], may_start=False) is None


def search(folder: Path, trials: int, executor: FakeExecutor, sampler: str = "tpe") -> str:
    return Setting(sampler=sampler, budget=Budget(trials=trials), policy=POLICY).run(folder, executor)


@pytest.mark.parametrize("slots", [1, 3])
def test_a_search_trains_each_cohorts_best_in_full(tmp_path: Path, slots: int) -> None:
    assert search(tmp_path, 12, FakeExecutor(slots)) == "budget"
    assert counts(tmp_path) == (6, 6, 0, 0)
    for record in open_study(tmp_path).records():
        assert len(record.curve) == (EPOCHS if record.state == "complete" else 1)


@pytest.mark.few(2)
@pytest.mark.parametrize("when", range(1, 16, 3))
def test_a_search_that_is_killed_ends_like_an_unbroken_one(tmp_path: Path, when: int) -> None:
    def kill(waits: int) -> None:
        if waits == when:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "a", 8, FakeExecutor(before_wait=kill))
    search(tmp_path / "a", 8, FakeExecutor())
    search(tmp_path / "b", 8, FakeExecutor())
    assert told(tmp_path / "a") == told(tmp_path / "b")


def test_a_space_that_is_used_up_leaves_nothing_undecided(tmp_path: Path) -> None:
    setting = Setting(space=TINY, budget=Budget(trials=100), policy=FirstEpoch(HORIZON, 5, 1, 1))
    assert setting.run(tmp_path, FakeExecutor(2)) == "exhausted"
    assert counts(tmp_path) == (2, 6, 0, 0)


def test_the_best_are_whole_fronts_and_then_a_spread_of_one() -> None:
    points = np.array([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [0.5, 0.5], [1.0, 1.0], [0.6, 0.6]])
    assert select_best(points, 0) == []
    assert select_best(points, 1) == [0]
    assert select_best(points, 3) == [0, 2, 3]
    assert sorted(select_best(points, 4)) == [0, 1, 2, 3]
    assert select_best(points, 5)[4:] == [5]
    assert sorted(select_best(points, 99)) == [0, 1, 2, 3, 4, 5]
    assert select_best(np.array([[np.nan, 0.0], [0.5, 0.5]]), 2) == [1, 0]


def test_copies_of_a_result_do_not_fill_a_front() -> None:
    points = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.1, 0.1]])
    assert select_best(points, 2) == [0, 2]
    assert select_best(points, 3) == [0, 2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cohort": 1}, "fidelity.options must have 1 <= best <= cohort and cohort >= 2, got 4 and 1"),
        ({"best": 0}, "fidelity.options must have 1 <= best <= cohort and cohort >= 2, got 0 and 16"),
        ({"epochs": 3}, "fidelity.options.epochs must be at least 1 and below training.epochs=3, got 3"),
        ({"rung": 3}, "first_epoch takes ['cohort', 'best', 'epochs'], got ['rung']"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        policy_of(FidelitySpec("first_epoch", options), HORIZON)
