"""The search with an executor that plays a script: budgets, failures, stops, and resuming as if nothing happened."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from engine import (
    DIED,
    EPOCHS,
    NAN,
    ONE,
    TINY,
    FakeClock,
    FakeExecutor,
    Setting,
    Watcher,
    counts,
    failing,
    told,
)

from nas.config.budget import Budget
from nas.evaluation.pump import DriverStoppedError
from nas.jobs import Failure, Job
from nas.objectives.limits import Limits
from nas.search.outcomes import MAX_FAILURES_IN_A_ROW
from nas.study.study import open_study
from nas.study.summary import open_for_reading
from nas.training.checkpoint_folder import latest


@pytest.mark.parametrize("slots", [1, 3, 10])
def test_it_ends_with_exactly_the_budget(tmp_path: Path, slots: int) -> None:
    executor = FakeExecutor(slots)
    assert Setting(budget=Budget(trials=6)).run(tmp_path, executor) == "budget"
    assert counts(tmp_path) == (6, 0, 0, 0)
    assert executor.most == min(slots, 6)
    assert executor.closed
    assert [(job.from_epoch, job.to_epoch, job.attempt) for job in executor.jobs] == [(0, EPOCHS, 1)] * 6


def test_a_complete_trial_has_the_last_epochs_accuracy_and_its_exact_cost(tmp_path: Path) -> None:
    Setting(budget=Budget(trials=2)).run(tmp_path)
    for record in open_study(tmp_path).records():
        assert [row.epoch for row in record.curve] == [1, 2, 3]
        assert record.values == {
            "val_accuracy": record.curve[-1].val_accuracy,
            "macs": float(record.candidate.costs["macs"]),
        }
        assert record.training.checkpoint == f"trials/{record.number:05d}/attempt1-epoch003.pt"
        assert record.training.seconds == pytest.approx(sum(row.seconds for row in record.curve))


@pytest.mark.parametrize("slots", [1, 3])
def test_the_same_command_again_does_nothing_and_a_larger_budget_goes_on(tmp_path: Path, slots: int) -> None:
    Setting(budget=Budget(trials=3)).run(tmp_path, FakeExecutor(slots))
    before = told(tmp_path)
    idle = FakeExecutor(slots)
    assert Setting(budget=Budget(trials=3)).run(tmp_path, idle) == "budget"
    assert (told(tmp_path), idle.jobs) == (before, [])
    assert Setting(budget=Budget(trials=7)).run(tmp_path, FakeExecutor(slots)) == "budget"
    assert told(tmp_path)[:3] == before
    assert counts(tmp_path) == (7, 0, 0, 0)


def test_no_network_is_trained_twice(tmp_path: Path) -> None:
    executor = FakeExecutor(3)
    assert Setting(space=TINY, budget=Budget(trials=100)).run(tmp_path, executor) == "exhausted"
    assert counts(tmp_path) == (8, 0, 0, 0)
    networks = [record.candidate.network_id for record in open_study(tmp_path).records()]
    assert len(set(networks)) == 8
    assert sorted(job.trial for job in executor.jobs) == list(range(8))
    status = open_for_reading(tmp_path).status_document()["trials"]
    assert status["duplicates"] >= 300


def test_a_space_of_one_network_ends_after_it(tmp_path: Path) -> None:
    assert Setting(space=ONE, idle=3).run(tmp_path, FakeExecutor(2)) == "exhausted"
    assert counts(tmp_path) == (1, 0, 0, 0)


def test_what_is_unfinished_when_nothing_new_is_found_is_finished(tmp_path: Path) -> None:
    """With the space exhausted, the process of a running trial dies: it is still tried again."""
    executor = FakeExecutor(3, fails=failing((0, 3), failure=DIED, attempts=1))
    assert Setting(space=ONE, idle=3).run(tmp_path, executor) == "exhausted"
    assert counts(tmp_path) == (1, 0, 0, 0)
    assert [job.attempt for job in executor.jobs] == [1, 2]


def test_asks_that_broke_a_limit_cost_no_budget(tmp_path: Path) -> None:
    setting = Setting(limits=Limits(max_macs=9_000), budget=Budget(trials=5))
    search = setting.search(tmp_path, FakeExecutor())
    search.run()
    records = open_study(tmp_path).records()
    assert len(records) == 5
    assert all(record.candidate.costs["macs"] <= 9_000 for record in records)
    rejected = search.progress().counts["rejected"]
    assert rejected == records[-1].candidate.ask + 1 - 5 > 0
    assert open_for_reading(tmp_path).status_document()["trials"]["rejected"] == rejected


def test_the_budget_in_trainings_counts_all_seconds(tmp_path: Path) -> None:
    executor = FakeExecutor(fails=failing((1, 3), (2, 3)))
    assert Setting(budget=Budget(trials=None, trainings=4.0)).run(tmp_path, executor) == "budget"
    complete, _, failed, _ = counts(tmp_path)
    assert failed == 2
    assert complete == 3  # two failures at the last epoch cost more than a third of a training each


def test_minutes_are_those_of_the_clock_over_all_runs(tmp_path: Path) -> None:
    clock = FakeClock()

    def tick(_: int) -> None:
        clock.seconds += 10.0

    setting = Setting(budget=Budget(trials=None, minutes=2), clock=clock)
    executor = FakeExecutor(before_wait=tick)
    assert setting.run(tmp_path, executor) == "minutes"
    assert executor.waits in {12, 13}  # an epoch each, 10 seconds each
    assert counts(tmp_path) == (4, 0, 0, 0) or counts(tmp_path) == (4, 0, 0, 1)
    spent = open_for_reading(tmp_path).status_document()["clock_seconds"]
    assert 120 <= spent <= 130
    idle = FakeExecutor(before_wait=tick)
    assert setting.run(tmp_path, idle) == "minutes"
    assert idle.jobs == []
    later = FakeExecutor(before_wait=tick)
    assert dataclasses.replace(setting, budget=Budget(trials=None, minutes=3)).run(tmp_path, later) == "minutes"
    assert 5 <= later.waits <= 7


def test_a_failed_trial_costs_no_budget_and_the_search_goes_on(tmp_path: Path) -> None:
    watcher = Watcher()
    setting = Setting(budget=Budget(trials=4), observers=[watcher])
    assert setting.run(tmp_path, FakeExecutor(fails=failing((1, 2), (3, 1)))) == "budget"
    assert counts(tmp_path) == (4, 0, 2, 0)
    failed = open_study(tmp_path).records()[1]
    assert failed.failure == NAN
    assert [row.epoch for row in failed.curve] == [1]
    assert open_for_reading(tmp_path).status_document()["failures"] == {"nan": 2}
    assert watcher.trials == [(n, "failed" if n in {1, 3} else "complete") for n in range(6)]


def test_a_process_that_died_is_tried_again_from_its_last_checkpoint(tmp_path: Path) -> None:
    executor = FakeExecutor(fails=failing((1, 3), failure=DIED, attempts=2))
    assert Setting(budget=Budget(trials=3), retries=2).run(tmp_path, executor) == "budget"
    assert counts(tmp_path) == (3, 0, 0, 0)
    assert [(job.attempt, job.from_epoch) for job in executor.jobs if job.trial == 1] == [(1, 0), (2, 2), (3, 2)]
    unbroken = tmp_path / "unbroken"
    Setting(budget=Budget(trials=3)).run(unbroken)
    assert told(tmp_path) == told(unbroken)


def test_a_process_that_hung_is_tried_again_once_however_many_retries_there_are(tmp_path: Path) -> None:
    hung = Failure("deadline", "trial 1 took longer than its deadline and was killed")
    once = FakeExecutor(fails=failing((1, 3), failure=hung, attempts=1))
    assert Setting(budget=Budget(trials=3), retries=5).run(tmp_path / "once", once) == "budget"
    assert [(job.attempt, job.from_epoch) for job in once.jobs if job.trial == 1] == [(1, 0), (2, 2)]
    Setting(budget=Budget(trials=3)).run(tmp_path / "unbroken")
    assert told(tmp_path / "once") == told(tmp_path / "unbroken")
    always = FakeExecutor(fails=failing((1, 3), failure=hung))
    assert Setting(budget=Budget(trials=3), retries=5).run(tmp_path / "always", always) == "budget"
    assert [job.attempt for job in always.jobs if job.trial == 1] == [1, 2]
    status = open_for_reading(tmp_path / "always").status_document()
    assert (status["failures"], status["retries"]) == ({"deadline": 1}, {"deadline": 1})


def test_out_of_memory_is_tried_once_more_with_half_the_micro_batch_and_marked(tmp_path: Path) -> None:
    full = Failure("out_of_memory", "CUDA out of memory")
    executor = FakeExecutor(
        fails=lambda job, epoch: full if (job.trial, epoch, job.micro_batches) == (1, 3, 1) else None
    )
    assert Setting(budget=Budget(trials=3), retries=0).run(tmp_path, executor) == "budget"
    assert counts(tmp_path) == (3, 0, 0, 0)
    jobs = [(job.attempt, job.from_epoch, job.micro_batches) for job in executor.jobs if job.trial == 1]
    assert jobs == [(1, 0, 1), (2, 2, 2)]
    marks = [record.training.micro_batches for record in open_study(tmp_path).records()]
    assert marks == [None, 2, None]
    assert open_for_reading(tmp_path).status_document()["retries"] == {"out_of_memory": 1}


def test_what_does_not_fit_in_halves_either_is_given_up(tmp_path: Path) -> None:
    full = Failure("out_of_memory", "CUDA out of memory")
    executor = FakeExecutor(fails=failing((0, 1), failure=full))
    assert Setting(budget=Budget(trials=2)).run(tmp_path, executor) == "budget"
    assert [job.micro_batches for job in executor.jobs if job.trial == 0] == [1, 2]
    given_up = open_study(tmp_path).records()[0]
    assert (given_up.state, given_up.failure, given_up.training.micro_batches) == ("failed", full, 2)


def test_a_process_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    executor = FakeExecutor(fails=failing((0, 2), failure=DIED))
    assert Setting(budget=Budget(trials=2), retries=1).run(tmp_path, executor) == "budget"
    assert counts(tmp_path) == (2, 0, 1, 0)
    given_up = open_study(tmp_path).records()[0]
    assert given_up.failure == DIED
    assert [row.epoch for row in given_up.curve] == [1]
    assert [job.attempt for job in executor.jobs if job.trial == 0] == [1, 2]


def test_a_damaged_checkpoint_is_set_aside_and_the_trial_starts_anew(tmp_path: Path) -> None:
    damaged = Failure("checkpoint", "a checkpoint must be a readable file")

    def fails(job: Job, epoch: int) -> Failure | None:
        if job.attempt == 1 and epoch == 3:
            job.folder.joinpath("attempt1-epoch001.pt").unlink()  # a training removes what it supersedes
            return DIED
        return damaged if job.attempt == 2 else None

    executor = FakeExecutor(fails=fails)
    assert Setting(budget=Budget(trials=1)).run(tmp_path, executor) == "budget"
    assert [(job.attempt, job.from_epoch) for job in executor.jobs] == [(1, 0), (2, 2), (3, 0)]
    folder = tmp_path / "trials/00000"
    assert min(path.name for path in folder.iterdir()) == "attempt1-epoch002.unreadable"
    assert latest(folder) == (folder / "attempt3-epoch003.pt", 3)
    Setting(budget=Budget(trials=1)).run(tmp_path / "unbroken")
    assert told(tmp_path) == told(tmp_path / "unbroken")


def test_a_deleted_checkpoint_costs_its_trial_the_epochs_and_no_more(tmp_path: Path) -> None:
    absent = Failure("checkpoint", "a checkpoint must be a readable file, got FileNotFoundError")

    def fails(job: Job, epoch: int) -> Failure | None:
        if job.attempt == 1 and epoch == 3:
            return DIED
        if job.attempt == 2:
            for path in job.folder.glob("*.pt"):
                path.unlink()
            return absent
        return None

    executor = FakeExecutor(fails=fails)
    assert Setting(budget=Budget(trials=1)).run(tmp_path, executor) == "budget"
    assert [(job.attempt, job.from_epoch) for job in executor.jobs] == [(1, 0), (2, 2), (3, 0)]
    Setting(budget=Budget(trials=1)).run(tmp_path / "unbroken")
    assert told(tmp_path) == told(tmp_path / "unbroken")


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        ("disk_full", "the disk must have room for checkpoints while networks are trained"),
        ("read_only", "the study's folder must stay writable while networks are trained"),
    ],
)
def test_a_disk_that_takes_no_checkpoint_stops_the_search_and_not_the_study(
    tmp_path: Path, kind: str, law: str
) -> None:
    executor = FakeExecutor(2, fails=failing((1, 2), failure=Failure(kind, "No space left on device")))
    with pytest.raises(DriverStoppedError, match=f"{law}: No space left on device"):
        Setting(budget=Budget(trials=4)).run(tmp_path, executor)
    assert counts(tmp_path) == (0, 0, 0, 2)
    assert Setting(budget=Budget(trials=4)).run(tmp_path, FakeExecutor(2)) == "budget"
    Setting(budget=Budget(trials=4)).run(tmp_path / "unbroken", FakeExecutor(2))
    assert told(tmp_path) == told(tmp_path / "unbroken")


def test_data_that_cannot_be_read_stops_the_search_and_not_the_study(tmp_path: Path) -> None:
    watcher = Watcher()
    gone = failing((1, 2), failure=Failure("data", "no images in /mnt/gone"))
    executor = FakeExecutor(2, fails=gone)
    message = "data must stay readable while networks are trained: no images in /mnt/gone"
    with pytest.raises(DriverStoppedError, match=message):
        Setting(budget=Budget(trials=4), observers=[watcher]).run(tmp_path, executor)
    assert executor.closed
    assert counts(tmp_path) == (0, 0, 0, 2)
    assert watcher.ends == [message]
    assert Setting(budget=Budget(trials=4)).run(tmp_path, FakeExecutor(2)) == "budget"
    assert counts(tmp_path) == (4, 0, 0, 0)


def test_ten_failures_in_a_row_stop_the_search(tmp_path: Path) -> None:
    with pytest.raises(DriverStoppedError, match=r"10 trials in a row failed, the last one so: the training loss must"):
        Setting(budget=Budget(trials=4)).run(tmp_path, FakeExecutor(fails=lambda job, epoch: NAN))
    assert counts(tmp_path) == (0, 0, MAX_FAILURES_IN_A_ROW, 0)


def test_failures_between_complete_trials_do_not_add_up(tmp_path: Path) -> None:
    executor = FakeExecutor(fails=lambda job, epoch: NAN if job.trial % 3 else None)
    assert Setting(budget=Budget(trials=8)).run(tmp_path, executor) == "budget"
    assert counts(tmp_path)[2] > MAX_FAILURES_IN_A_ROW


def test_observers_hear_of_progress_trials_and_the_end(tmp_path: Path) -> None:
    watcher = Watcher()
    Setting(budget=Budget(trials=3), observers=[watcher]).run(tmp_path, FakeExecutor(2))
    assert sorted(watcher.trials) == [(0, "complete"), (1, "complete"), (2, "complete")]
    assert watcher.ends == ["budget"]
    nothing, first, second, *_, last = watcher.progress
    assert (nothing.running, nothing.best, nothing.share_done) == ([], None, 0.0)
    assert [(r.trial, r.epoch, r.to_epoch) for r in first.running] == [(0, 0, EPOCHS), (1, 0, EPOCHS)]
    assert [(r.trial, r.epoch, r.to_epoch) for r in second.running] == [(0, 1, EPOCHS), (1, 1, EPOCHS)]
    assert (first.counts["running"], first.counts["complete"], first.front) == (2, 0, [])
    assert (last.counts["complete"], last.counts["running"], last.counts["frozen"]) == (3, 0, 0)
    assert last.hypervolume > 0
    assert last.hypervolume == open_for_reading(tmp_path).status_document()["hypervolume"]
    assert [r.number for r in last.front] == [
        item["trial"] for item in open_for_reading(tmp_path).front_document()["front"]
    ]
    assert last.seconds_left == 0.0
    assert last.training_seconds == pytest.approx(sum(r.seconds for r in open_study(tmp_path).records()))


def test_the_time_left_is_the_sooner_of_trials_and_minutes(tmp_path: Path) -> None:
    setting = Setting(budget=Budget(trials=2))
    setting.run(tmp_path)
    seconds = [record.seconds for record in open_study(tmp_path).records()]
    more = dataclasses.replace(setting, budget=Budget(trials=10))
    left = more.search(tmp_path, FakeExecutor(4)).progress().seconds_left
    assert left == pytest.approx(8 * sum(seconds) / 2 / 4)
    short = dataclasses.replace(setting, budget=Budget(trials=10, minutes=0.01))
    assert short.search(tmp_path, FakeExecutor()).progress().seconds_left == pytest.approx(0.6, abs=0.6)


def test_one_objective_is_enough(tmp_path: Path) -> None:
    for objectives in [("val_accuracy",), ("val_accuracy", "macs", "params")]:
        folder = tmp_path / str(len(objectives))
        assert Setting(sampler="tpe", objectives=objectives, budget=Budget(trials=13)).run(folder) == "budget"
        document = open_for_reading(folder).front_document()
        assert document["objectives"] == list(objectives)
        best = max(r.values["val_accuracy"] for r in open_study(folder).records() if r.values)
        assert max(item["values"]["val_accuracy"] for item in document["front"]) == best


def test_processes_that_never_start_end_the_search_at_the_second_death_and_fail_no_trial(tmp_path: Path) -> None:
    why = "the process of trial 0 ended with exit code 1 before it could take a job; its last output: no such module"
    executor = FakeExecutor(fails=lambda job, epoch: Failure("start", why))
    with pytest.raises(DriverStoppedError, match=r"^worker processes must start: the process of trial 0 ended with"):
        Setting().run(tmp_path, executor)
    assert [job.attempt for job in executor.jobs] == [1, 2]
    status = open_for_reading(tmp_path).status_document()
    assert (status["trials"]["failed"], status["trials"]["frozen"], status["retries"]) == (0, 1, {"start": 1})
    assert Setting().run(tmp_path) == "budget"
