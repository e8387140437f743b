"""The driver under `inherit`: parents, the epochs that heirs are charged, and lost parents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from engine import EPOCHS, FakeExecutor, Setting, candidate, counts, curve, failing, snapshot, told

from nas.config.budget import Budget
from nas.fidelity.full import Full
from nas.fidelity.inherit import Inherit, count_differences
from nas.jobs import Failure, Job, Parent
from nas.samplers.imputation import SECONDS
from nas.study.retention import Retention
from nas.study.study import open_study
from nas.study.summary import open_for_reading
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Descent, Record

SKIPS = 1
LOST = Failure("parent", "a checkpoint must be a readable file")
POLICY = Inherit(EPOCHS, 1 / 3, 4)


def setting(trials: int = 8) -> Setting:
    return Setting(seed=3, budget=Budget(trials=trials), policy=POLICY)


def trial(number: int, params: Mapping[str, Any], inherits: Descent | None = None, state: str = "complete") -> Record:
    who = candidate(number, params=params, inherits=inherits)
    return Record(number, state, who, curve(2), TrainingState(), None, None)


def test_choices_that_only_one_of_two_made_do_not_set_them_apart() -> None:
    assert count_differences({"depth": 1, "a": 4}, {"depth": 2, "a": 4, "b": 8, "c": 16}) == 1
    assert count_differences({"a": 4, "b": "max"}, {"a": 8, "b": "avg"}) == 2
    assert count_differences({"a": 4}, {"a": 4}) == 0


def test_the_nearest_network_trained_from_fresh_weights_is_the_parent() -> None:
    policy = Inherit(9, 1 / 3, 2)
    heir = Descent(0, 1, 3)
    trained = [
        trial(0, {"a": 1, "b": 1, "c": 1}),
        trial(1, {"a": 2, "b": 1, "c": 2}),
        trial(2, {"a": 2, "b": 2, "c": 2}, heir),
        trial(3, {"a": 2, "b": 3, "c": 2}),
    ]
    assert policy.descent(candidate(9, params={"a": 2, "b": 2, "c": 2}), trained) == Descent(1, 1, 3)
    assert policy.descent(candidate(9, params={"a": 2, "b": 2, "c": 2}), trained[:1]) is None
    assert policy.descent(candidate(9, params={"a": 2, "b": 2, "c": 1}), trained[:1]) == Descent(0, 2, 3)
    assert policy.descent(candidate(9), []) is None


@pytest.mark.parametrize(("epochs", "skip", "skips"), [(12, 1 / 3, 4), (12, 0.01, 1), (12, 0.99, 11), (2, 0.9, 1)])
def test_an_heir_is_spared_whole_epochs_and_trains_at_least_one(epochs: int, skip: float, skips: int) -> None:
    found = Inherit(epochs, skip, 1).descent(candidate(1), [trial(0, candidate(0).params)])
    assert found == Descent(0, 0, skips)


@pytest.mark.parametrize(
    ("epochs", "skip", "changes", "message"),
    [
        (1, 0.5, 1, "needs training.epochs of at least 2, got 1"),
        (9, 1.0, 1, r"skip must lie in \(0, 1\), got 1.0"),
        (9, 0.5, 0, "changes must be at least 1, got 0"),
    ],
)
def test_what_is_out_of_range_is_refused(epochs: int, skip: float, changes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Inherit(epochs, skip, changes)


def test_heirs_are_trained_for_the_last_part_of_the_schedule_and_charged_that(tmp_path: Path) -> None:
    executor = FakeExecutor()
    assert setting().run(tmp_path, executor) == "budget"
    records = open_study(tmp_path).records()
    heirs = [record for record in records if record.descent]
    assert counts(tmp_path) == (8, 0, 0, 0)
    assert 3 <= len(heirs) < 8
    for record, job in zip(records, executor.jobs, strict=True):
        assert len(record.curve) == job.to_epoch == EPOCHS - (SKIPS if record.descent else 0)
        assert record.seconds == sum(row.seconds for row in record.curve)
        if record.descent is None:
            assert job.parent is None
            assert record.full_seconds == record.seconds
            continue
        ancestor = records[record.descent.trial]
        checkpoint = tmp_path / str(ancestor.training.checkpoint)
        assert job.parent == Parent(ancestor.number, ancestor.candidate.architecture, checkpoint, SKIPS)
        assert ancestor.descent is None
        assert record.descent.changes == count_differences(record.candidate.params, ancestor.candidate.params) <= 4
        assert record.full_seconds == pytest.approx(record.seconds * EPOCHS / (EPOCHS - SKIPS))


def test_the_sampler_hears_what_a_full_training_takes(tmp_path: Path) -> None:
    search = setting().search(tmp_path, FakeExecutor())
    search.run()
    trials = search._parts.view.study.get_trials(deepcopy=False)
    attributes = [t.user_attrs.get(SECONDS) for t in trials if t.values]
    assert attributes == [record.full_seconds for record in open_study(tmp_path).records()]


def test_a_front_says_whose_weights_its_members_began_with(tmp_path: Path) -> None:
    setting(20).run(tmp_path)
    reader = open_for_reading(tmp_path)
    shown = {member["trial"]: member.get("inherits") for member in reader.front_document()["front"]}
    wanted = {number: reader.records[number].descent for number in shown}
    assert any(wanted.values())
    for number, descent in wanted.items():
        assert shown[number] == (vars(descent) if descent else None)


@pytest.mark.parametrize("moment", [1, 4, 7, 11])
def test_a_search_whose_driver_is_killed_goes_on_with_the_same_parents(tmp_path: Path, moment: int) -> None:
    def keep(waits: int) -> None:
        if waits == moment:
            snapshot(tmp_path / "unbroken", tmp_path / "killed")

    setting().run(tmp_path / "unbroken", FakeExecutor(before_wait=keep))
    setting().run(tmp_path / "killed")
    assert told(tmp_path / "killed") == told(tmp_path / "unbroken")
    parents = [[r.descent for r in open_study(tmp_path / name).records()] for name in ("killed", "unbroken")]
    assert parents[0] == parents[1]


def losing(number: int) -> Callable[[Job, int], Failure | None]:
    return lambda job, _: LOST if job.trial == number and job.parent else None


def test_a_trial_whose_parent_is_lost_is_trained_in_full_from_fresh_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setting().run(tmp_path / "a")
    first = next(record.number for record in open_study(tmp_path / "a").records() if record.descent)
    executor = FakeExecutor(fails=losing(first))
    assert setting().run(tmp_path / "b", executor) == "budget"
    record = open_study(tmp_path / "b").records()[first]
    assert (record.state, record.descent, len(record.curve)) == ("complete", None, EPOCHS)
    assert record.candidate.inherits is not None  # what was meant stays known
    assert [job.parent is None for job in executor.jobs if job.trial == first] == [False, True]
    assert f"trial {first} is trained in full from fresh weights: a checkpoint must be" in caplog.text
    assert open_for_reading(tmp_path / "b").status_document()["retries"] == {"parent": 1}
    dying = FakeExecutor(fails=failing((first, 1), failure=Failure("died", "gone"), attempts=2))
    assert setting().run(tmp_path / "c", dying) == "budget"  # a lost parent takes no retry from other failures
    assert open_study(tmp_path / "c").records()[first].state == "complete"


def test_the_parent_of_a_running_trial_keeps_its_checkpoint(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "attempt1-epoch003.pt").write_text("x")
    retention = Retention("front", lambda number: tmp_path / str(number))
    parent, front = trial(0, {}), trial(1, {})
    retention.delete_unneeded([parent, front, trial(2, {}, Descent(0, 1, 1), "running")], [front])
    assert len(list(tmp_path.rglob("*.pt"))) == 3
    retention.delete_unneeded([parent, front, trial(2, {}, Descent(0, 1, 1))], [front])
    assert [path.parent.name for path in tmp_path.rglob("*.pt")] == ["1"]


@pytest.mark.parametrize(("keep", "numbers"), [("all", [0, 1]), ("front", [1]), ("none", [])])
def test_only_what_is_kept_may_have_heirs(keep: str, numbers: list[int]) -> None:
    records = [trial(0, {}), trial(1, {}), trial(2, {}, state="failed"), trial(3, {}, state="running")]
    kept = Retention(keep, lambda _: Path()).kept(records, [records[1]])
    assert [record.number for record in kept] == numbers


def test_without_it_nothing_of_it_is_stored(tmp_path: Path) -> None:
    executor = FakeExecutor()
    Setting(seed=3, policy=Full(EPOCHS)).run(tmp_path, executor)
    study = open_study(tmp_path)
    assert all("inherits" not in stored.user_attrs for stored in study.as_optuna().trials)
    assert all(job.parent is None for job in executor.jobs)
    assert Candidate(0, {}, {}, {}, "", "", "", {}, 0).inherits is None
