"""Networks of the front that are trained again before they are believed."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine import (
    AXES,
    DIED,
    EPOCHS,
    NAN,
    OBJECTIVES,
    TINY,
    TWO,
    FakeClock,
    FakeExecutor,
    Setting,
    candidate,
    curve,
    snapshot,
    told,
)
from rich.console import Console

from nas.config.budget import Budget
from nas.config.fidelity import FidelitySpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.policy import Policy, RepeatTraining, Standing, Start
from nas.jobs import Failure, Job, repeat_folder
from nas.objectives.pareto import dominated
from nas.objectives.values import objective_values
from nas.reports.status import status_table
from nas.reports.tables import front_table
from nas.search.proposer import repeat_seed
from nas.study.belief import Believer
from nas.study.retention import Retention
from nas.study.study import open_study
from nas.study.summary import front_records, open_for_reading
from nas.study.training_state import TrainingState
from nas.study.trial import Record, Repeat
from nas.tracking.rows import RowBuilder

VALUES = partial(objective_values, [OBJECTIVES[name] for name in TWO])
HORIZON = Horizon(EPOCHS, [AXES[name] for name in TWO], VALUES)


def repeating(repeats: int, fidelity: str = "full") -> Policy:
    options = {"start": 4, "finished": 2} if fidelity == "freeze_thaw" else {}
    return policy_of(FidelitySpec(fidelity, options, repeats), HORIZON)


def setting(repeats: int = 1, fidelity: str = "full", **changes: Any) -> Setting:
    plain = {"sampler": "random", "seed": 3, "budget": Budget(trials=8), "policy": repeating(repeats, fidelity)}
    return Setting(**{**plain, **changes})


def records(folder: Path) -> list[Record]:
    return open_study(folder).records()


def everything(folder: Path) -> list[Any]:
    """What came of every trial and of every repeat, without what a clock says."""
    repeats = [[(r.seed, r.curve, r.values, r.failure) for r in record.repeats] for record in records(folder)]
    return [told(folder), repeats]


def complete(number: int, accuracy: float, macs: float, repeats: tuple[Repeat, ...] = ()) -> Record:
    values = {"val_accuracy": accuracy, "macs": macs}
    record = Record(number, "complete", candidate(number), curve(EPOCHS), TrainingState(), values, None)
    for repeat in repeats:
        record = record.with_repeat(repeat)
    return record


def done(accuracy: float, macs: float = 1e4) -> Repeat:
    return Repeat(5, curve(EPOCHS), TrainingState(clock=9.0), {"val_accuracy": accuracy, "macs": macs})


def standing(*known: Record, **changes: Any) -> Standing:
    return Standing(**{"records": {r.number: r for r in known}, "waiting": [], "may_start": True, **changes})


def test_a_record_counts_with_the_mean_and_keeps_what_is_the_same_exact() -> None:
    record = complete(0, 0.5, 0.1)
    for index, accuracy in enumerate((0.75, 0.25, 1.0), 2):
        record = record.with_repeat(Repeat(1)).with_repeat(done(accuracy, 0.1))
        assert (record.trainings, len(record.repeats)) == (index, index - 1)
    assert record.values is not None
    assert record.values["val_accuracy"] == pytest.approx((0.5 + 0.75 + 0.25 + 1.0) / 4, rel=1e-15)
    assert record.values["macs"] == 0.1
    assert record.without_repeats() == complete(0, 0.5, 0.1)
    assert record.spent == 4 * record.seconds


def test_a_failed_repeat_moves_nothing_and_an_open_one_is_replaced() -> None:
    record = complete(0, 0.5, 1e4).with_repeat(Repeat(1))
    assert record.repeating is not None
    failed = record.with_repeat(Repeat(1, failure=NAN))
    assert (failed.values, failed.trainings, failed.repeating) == (record.values, 1, None)
    assert len(failed.repeats) == 1
    for repeat in (*failed.repeats, done(0.7)):
        assert Repeat.from_json(json.loads(json.dumps(repeat.to_json()))) == repeat


def test_members_of_the_front_come_first_and_those_with_fewest_trainings_before_the_others() -> None:
    twice = complete(0, 0.5, 1e4, (done(0.5),))
    once, beaten = complete(1, 0.9, 1e5), complete(2, 0.4, 1e5)
    decide = repeating(2).decide
    assert decide(standing(twice, once, beaten)) == RepeatTraining(1)
    assert decide(standing(twice, once, beaten, running={1})) == RepeatTraining(0)
    assert decide(standing(twice, once, beaten, running={0, 1})) == Start(EPOCHS)
    assert decide(standing(twice, once, beaten, running={0, 1}, may_start=False)) is None
    assert decide(standing(twice, once, beaten, trainings_left=0.0)) == Start(EPOCHS)
    assert repeating(1).decide(standing(twice, complete(1, 0.9, 1e5, (Repeat(1, failure=NAN),)))) == Start(EPOCHS)


def test_an_open_repeat_is_finished_whatever_the_budget_says() -> None:
    left = complete(0, 0.2, 1e6, (Repeat(4),))
    known = (left, complete(1, 0.9, 1e4))
    assert repeating(1).decide(standing(*known, may_start=False, trainings_left=0.0)) == RepeatTraining(0)
    assert repeating(1).decide(standing(*known, may_start=False, trainings_left=0.0, running={0})) is None


@pytest.mark.few(3)
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("fidelity", ["full", "freeze_thaw"])
def test_a_search_ends_with_a_front_that_was_trained_again(
    tmp_path: Path, fidelity: str, repeats: int, slots: int
) -> None:
    executor = FakeExecutor(slots)
    assert setting(repeats, fidelity).run(tmp_path, executor) == "budget"
    found = records(tmp_path)
    front = front_records(found, HORIZON.axes)
    assert {member.trainings for member in front} == {repeats + 1}
    assert max(record.trainings for record in found) == repeats + 1
    assert len(found) == 8
    for record in found:
        seeds = [record.candidate.seed, *(repeat.seed for repeat in record.repeats)]
        assert seeds[1:] == [repeat_seed(seeds[0], index) for index in range(1, len(seeds))]
        assert len(set(seeds)) == len(seeds)
        if record.values:
            accuracies = [training.curve[-1].val_accuracy for training in record.all_trainings]
            assert record.values["val_accuracy"] == pytest.approx(np.mean(accuracies), rel=1e-12)
            assert record.values["macs"] == record.candidate.costs["macs"]
    keys = [(job.trial, job.repeat, epoch) for job in executor.jobs for epoch in range(job.from_epoch, job.to_epoch)]
    assert len(set(keys)) == len(keys), "something was trained twice"


def test_without_repeats_nothing_is_wrapped_and_nothing_is_stored(tmp_path: Path) -> None:
    assert type(repeating(0)).__name__ == "Full"
    setting(0).run(tmp_path)
    reader = open_for_reading(tmp_path)
    assert not any(record.repeats for record in reader.records)
    assert "repeats" not in reader.status_document()
    assert all("trainings" not in item for item in reader.front_document()["front"])


def test_a_search_that_has_ended_trains_its_front_again_when_told_so(tmp_path: Path) -> None:
    setting(0, budget=Budget(trials=5)).run(tmp_path)
    before = records(tmp_path)
    assert setting(1, budget=Budget(trials=5)).run(tmp_path) == "budget"
    assert [record.without_repeats() for record in records(tmp_path)] == before
    assert {member.trainings for member in front_records(records(tmp_path), HORIZON.axes)} == {2}


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("fidelity", "sampler"), [("full", "tpe"), ("freeze_thaw", "known_cost"), ("moasha", "random")]
)
def test_a_search_whose_driver_is_killed_decides_as_an_unbroken_one(
    tmp_path: Path, fidelity: str, sampler: str
) -> None:
    wanted = setting(2, fidelity, sampler=sampler, budget=Budget(trials=6))
    moments, inside = (4, 8, 17), []

    def keep(waits: int) -> None:
        if waits in moments:
            snapshot(tmp_path / "unbroken", tmp_path / str(waits))
            inside.append(any(record.repeating for record in records(tmp_path / str(waits))))

    wanted.run(tmp_path / "unbroken", FakeExecutor(before_wait=keep))
    whole = everything(tmp_path / "unbroken")
    assert True in inside
    for moment in moments:
        wanted.run(tmp_path / str(moment), FakeExecutor())
        assert everything(tmp_path / str(moment)) == whole, f"resumed from wait {moment}"


def test_a_stopped_repeat_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    executor = FakeExecutor()
    search = setting().search(tmp_path, executor)

    def stop(waits: int) -> None:
        if waits == EPOCHS:  # the first epoch of the first repeat
            search.stop("interrupted")

    executor.before_wait = stop
    assert search.run() == "interrupted"
    (only,) = records(tmp_path)
    assert (only.trainings, len(only.repeats[0].curve), only.repeats[0].training.frozen) == (1, 1, True)
    assert open_for_reading(tmp_path).status_document()["repeats"] == {"complete": 0, "failed": 0, "open": 1}
    resumed = FakeExecutor()
    setting().run(tmp_path, resumed)
    first = resumed.jobs[0]
    assert (first.trial, first.repeat, first.from_epoch, first.attempt) == (0, 1, 1, 2)
    assert first.folder == repeat_folder(tmp_path / "trials" / "00000", 1)
    setting().run(tmp_path / "b")
    assert everything(tmp_path) == everything(tmp_path / "b")


def failing_repeats(failure: Failure, attempts: int = 99) -> Callable[[Job, int], Failure | None]:
    return lambda job, epoch: failure if job.repeat and epoch == 2 and job.attempt <= attempts else None


def test_a_repeat_that_fails_leaves_its_trial_as_it_was(tmp_path: Path) -> None:
    assert setting(1, budget=Budget(trials=4)).run(tmp_path / "a", FakeExecutor(fails=failing_repeats(NAN))) == "budget"
    setting(0, budget=Budget(trials=4)).run(tmp_path / "b")
    assert told(tmp_path / "a") == told(tmp_path / "b")
    repeats = [repeat for record in records(tmp_path / "a") for repeat in record.repeats]
    assert [(repeat.failure, len(repeat.curve)) for repeat in repeats] == [(NAN, 1)] * len(repeats)
    status = open_for_reading(tmp_path / "a").status_document()
    assert status["repeats"] == {"complete": 0, "failed": len(repeats), "open": 0}
    assert status["trials"]["failed"] == 0


def test_a_repeat_whose_process_died_is_tried_again(tmp_path: Path) -> None:
    setting().run(tmp_path / "a", FakeExecutor(fails=failing_repeats(DIED, attempts=2)))
    setting().run(tmp_path / "b")
    assert everything(tmp_path / "a") == everything(tmp_path / "b")
    retries = [repeat.training.retries for record in records(tmp_path / "a") for repeat in record.repeats]
    assert retries == [{"died": 2}] * len(retries)


def test_repeats_use_up_the_budget_of_trainings(tmp_path: Path) -> None:
    budget = Budget(trials=None, trainings=6.0, training_seconds=3.0)
    setting(2, budget=budget).run(tmp_path)
    found = records(tmp_path)
    spent = sum(record.spent for record in found)
    assert 18.0 <= spent < 18.0 + 4.5  # the last training may go beyond it
    assert spent > sum(record.seconds for record in found)
    assert open_for_reading(tmp_path).status_document()["seconds"] == spent
    setting(0, budget=budget).run(tmp_path / "plain")
    assert len(records(tmp_path / "plain")) > len(found)


def test_the_clock_of_a_repeat_is_time_that_was_searched(tmp_path: Path) -> None:
    clock = FakeClock()

    def tick(_: int) -> None:
        clock.seconds += 10

    setting(1, budget=Budget(trials=1), clock=clock).run(tmp_path, FakeExecutor(before_wait=tick))
    assert open_for_reading(tmp_path).status_document()["clock_seconds"] == 20 * EPOCHS


def test_the_sampler_sees_the_mean_before_and_after_a_resume(tmp_path: Path) -> None:
    seen = []
    for budget in (Budget(trials=4), Budget(trials=4)):
        search = setting(2, budget=budget).search(tmp_path, FakeExecutor())
        search.run()
        seen.append([trial.values for trial in search._parts.view.study.get_trials(deepcopy=False)])
    means = [HORIZON.axes[0].scaled((record.values or {})["val_accuracy"]) for record in records(tmp_path)]
    assert [values[0] for values in seen[0]] == [values[0] for values in seen[1]] == means
    assert any(record.trainings > 1 for record in records(tmp_path))


def test_documents_and_tables_show_mean_and_trainings(tmp_path: Path) -> None:
    setting(2, space=TINY, budget=Budget(trials=5)).run(tmp_path)
    reader = open_for_reading(tmp_path)
    document, status = reader.front_document(), reader.status_document()
    by_number = {record.number: record for record in reader.records}
    for item in document["front"]:
        assert item["trainings"] == 3
        assert item["values"]["val_accuracy"] == (by_number[item["trial"]].values or {})["val_accuracy"]
    assert status["repeats"]["complete"] == sum(len(record.repeats) for record in reader.records) > 0
    assert "trainings" in [column.header for column in front_table(document).columns]  # type: ignore[union-attr]
    shown = io.StringIO()
    Console(file=shown, width=100).print(status_table(status))
    assert any(line.startswith("repeats ") for line in shown.getvalue().splitlines())


def test_what_is_tracked_of_a_trial_is_without_its_repeats() -> None:
    repeated, plain = complete(0, 0.5, 1e4, (done(0.7),)), complete(0, 0.5, 1e4)
    rows = [RowBuilder(Believer.of_measured(HORIZON.axes), curves=True).add(record) for record in (repeated, plain)]
    assert rows[0] == rows[1]


def test_checkpoints_stay_of_whatever_may_come_back_to_the_front(tmp_path: Path) -> None:
    executor, drops = FakeExecutor(), []
    wanted = setting(1, budget=Budget(trials=12))
    search = wanted.search(tmp_path, executor)
    retention = Retention("front", lambda number: tmp_path / "trials" / f"{number:05d}")
    object.__setattr__(search._parts, "retention", retention)

    def check(_: int) -> None:
        for member in search._state.front:
            kept = list((tmp_path / "trials" / f"{member.number:05d}").glob("*.pt"))
            drops.extend([member.number] if not kept else [])

    executor.before_wait = check
    search.run()
    check(0)
    assert not drops
    assert not list(tmp_path.rglob("repeat*/*.pt"))
    left = {int(path.parent.name) for path in tmp_path.rglob("*.pt")}
    assert len(left) < 12


def test_domination_is_strict() -> None:
    points = np.array([[0.0, 1.0], [0.5, 0.5], [0.6, 0.5], [1.0, 1.0]])
    assert dominated(points, points).tolist() == [False, False, True, True]
    assert dominated(points, points[:0]).tolist() == [False] * 4


@pytest.mark.parametrize("repeats", [-1, 1.5, True, "2"])
def test_repeats_are_a_whole_number(repeats: Any) -> None:
    with pytest.raises(ValueError, match=rf"fidelity\.repeats must be (a whole number|at least 0), got {repeats!r}"):
        FidelitySpec("full", {}, repeats)


def test_seeds_of_repeats_are_no_other_trainings(tmp_path: Path) -> None:
    seeds = [repeat_seed(seed, repeat) for seed in range(50) for repeat in range(1, 5)]
    assert len(set(seeds)) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert all(not math.isclose(a, b) for a, b in pairwise(sorted(seeds)))
