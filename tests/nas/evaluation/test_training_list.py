"""The driver of a retraining with an executor that plays a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from engine import EPOCHS, FakeExecutor, FakeHandle, candidate

from nas.evaluation.pump import DriverStoppedError
from nas.evaluation.retrain.files import SEED_FILE, seed_folder, trial_folder
from nas.evaluation.retrain.task import RetrainTask, Subject
from nas.evaluation.training_list import Rules, TrainingList, next_attempt
from nas.jobs import Failure, Job, Outcome
from nas.jobs.files import write_json
from nas.study.list_progress import ListProgress
from nas.study.training_state import TrainingState
from nas.study.trial import Record
from nas.training.checkpoint_folder import by_epoch, latest

DIED = Failure("died", "the process ended with signal 9")


class MeasuringExecutor(FakeExecutor):
    """Leaves a result where a training has ended in full, as the real runner does."""

    def _step(self, handle: FakeHandle) -> Outcome | None:
        outcome = super()._step(handle)
        if outcome is not None and outcome.failure is None and outcome.epoch == EPOCHS:
            assert outcome.checkpoint is not None
            scores = dict.fromkeys(("val_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss"), 0.5)
            result = {"seed": outcome.job.seed, "checkpoint": outcome.checkpoint.name, "epochs": EPOCHS, **scores}
            write_json(outcome.job.folder / SEED_FILE, {**result, "test_images": 1})
        return outcome


def tasks(study: Path, trials: int = 2, seeds: int = 2) -> list[RetrainTask]:
    records = [Record(number, "complete", candidate(number), (), TrainingState(), {}, None) for number in range(trials)]
    return [
        RetrainTask(Subject.of_trial(record, study), seed, seed_folder(trial_folder(study, record.number), seed))
        for seed in range(seeds)
        for record in records
    ]


def retraining(executor: FakeExecutor, todo: list[RetrainTask], retries: int = 2) -> TrainingList:
    return TrainingList(executor, todo, Rules(EPOCHS, retries), epochs=by_epoch)


def failing(failure: Failure, times: int = 99) -> Callable[[Job, int], Failure | None]:
    """Trial 0 seed 0 fails at its second epoch, the first `times` times."""
    left = iter(range(times))
    return lambda job, epoch: (
        failure if (job.trial, job.seed, epoch) == (0, 0, 2) and next(left, None) is not None else None
    )


@pytest.mark.parametrize("slots", [1, 2])
def test_every_network_is_trained_in_full_with_every_seed(tmp_path: Path, slots: int) -> None:
    executor, todo = MeasuringExecutor(slots), tasks(tmp_path)
    assert retraining(executor, todo).run() == "done"
    assert all(task.done for task in todo)
    assert {(job.trial, job.seed, job.from_epoch, job.to_epoch) for job in executor.jobs} == {
        (trial, seed, 0, EPOCHS) for trial in (0, 1) for seed in (0, 1)
    }
    assert executor.closed
    assert executor.most == slots


def test_trainings_over_several_devices_take_as_many_slots_and_are_not_overtaken(tmp_path: Path) -> None:
    running: list[list[int]] = []
    executor = MeasuringExecutor(3, before_wait=lambda _: running.append([h.job.devices for h in executor.running]))
    wide = [replace(task, devices=devices) for task, devices in zip(tasks(tmp_path), (2, 8, 1, 2), strict=True)]
    assert retraining(executor, wide).run() == "done"
    assert [some for n, some in enumerate(running) if n == 0 or some != running[n - 1]] == [[2], [3], [1, 2]]


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    retraining(MeasuringExecutor(), tasks(tmp_path)).run()
    executor = MeasuringExecutor()
    assert retraining(executor, tasks(tmp_path, seeds=3)).run() == "done"
    assert [(job.trial, job.seed) for job in executor.jobs] == [(0, 2), (1, 2)]


def test_what_has_lost_its_weights_is_trained_again(tmp_path: Path) -> None:
    todo = tasks(tmp_path, trials=1)
    retraining(MeasuringExecutor(), todo).run()
    for checkpoint in todo[1].folder.glob("*.pt"):
        checkpoint.unlink()
    executor = MeasuringExecutor()
    retraining(executor, todo).run()
    assert [(job.trial, job.seed, job.from_epoch) for job in executor.jobs] == [(0, 1, 0)]


def test_it_stops_after_the_epoch_and_goes_on_from_there(tmp_path: Path) -> None:
    todo = tasks(tmp_path, trials=1)
    executor = MeasuringExecutor()
    first = retraining(executor, todo)
    executor.before_wait = lambda waits: first.stop("interrupted") if waits == 1 else None
    assert first.run() == "interrupted"
    assert latest(todo[0].folder) == (todo[0].folder / "attempt1-epoch002.pt", 2)
    again = MeasuringExecutor()
    assert retraining(again, todo).run() == "done"
    assert [(job.seed, job.attempt, job.from_epoch) for job in again.jobs] == [(0, 2, 2), (1, 1, 0)]


def test_a_second_stop_ends_at_once(tmp_path: Path) -> None:
    executor = MeasuringExecutor(2)
    first = retraining(executor, tasks(tmp_path))
    executor.before_wait = lambda waits: first.stop("terminated", at_once=True)
    assert first.run() == "terminated"
    assert executor.waits == 1


def test_a_training_that_died_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    executor, todo = MeasuringExecutor(fails=failing(DIED, times=2)), tasks(tmp_path, trials=1, seeds=1)
    driver = retraining(executor, todo)
    assert driver.run() == "done"
    assert [(job.attempt, job.from_epoch) for job in executor.jobs] == [(1, 0), (2, 1), (2, 1)]
    assert driver.failures == {}


@pytest.mark.parametrize(("failure", "tries"), [(DIED, 3), (Failure("nan", "no number"), 1)])
def test_what_fails_for_good_is_said_and_the_rest_goes_on(tmp_path: Path, failure: Failure, tries: int) -> None:
    executor, todo = MeasuringExecutor(fails=failing(failure)), tasks(tmp_path)
    driver = retraining(executor, todo)
    assert driver.run() == "done"
    assert [job.trial for job in executor.jobs].count(0) == tries + 1
    assert driver.failures == {todo[0].folder: failure}
    assert [task.done for task in todo] == [False, True, True, True]


def test_a_checkpoint_that_can_not_be_read_is_set_aside_and_the_training_begins_anew(tmp_path: Path) -> None:
    todo = tasks(tmp_path, trials=1, seeds=1)
    bad = Failure("checkpoint", "a checkpoint must be a readable file")
    first = MeasuringExecutor(fails=failing(DIED))
    retraining(first, todo, retries=0).run()
    executor = MeasuringExecutor(fails=failing(bad, times=1))
    assert retraining(executor, todo).run() == "done"
    assert [(job.attempt, job.from_epoch) for job in executor.jobs] == [(2, 1), (2, 0)]
    assert (todo[0].folder / "attempt1-epoch001.unreadable").is_file()


def test_a_deleted_checkpoint_costs_its_epochs_and_no_more(tmp_path: Path) -> None:
    todo = tasks(tmp_path, trials=1, seeds=1)
    retraining(MeasuringExecutor(fails=failing(DIED)), todo, retries=0).run()

    def fails(job: Job, epoch: int) -> Failure | None:
        if job.from_epoch:
            for path in job.folder.glob("*.pt"):
                path.unlink()
            return Failure("checkpoint", "a checkpoint must be a readable file, got FileNotFoundError")
        return None

    executor = MeasuringExecutor(fails=fails)
    assert retraining(executor, todo).run() == "done"
    assert [job.from_epoch for job in executor.jobs] == [1, 0]


def test_a_training_that_hangs_is_tried_again_once(tmp_path: Path) -> None:
    hung = Failure("deadline", "trial 0 took longer than its deadline and was killed")
    executor, todo = MeasuringExecutor(fails=failing(hung)), tasks(tmp_path, trials=1, seeds=1)
    driver = retraining(executor, todo, retries=5)
    assert driver.run() == "done"
    assert len(executor.jobs) == 2
    assert driver.failures == {todo[0].folder: hung}


def test_out_of_memory_is_tried_once_more_in_halves_also_after_a_restart(tmp_path: Path) -> None:
    full = Failure("out_of_memory", "CUDA out of memory")

    def fails(job: Job, epoch: int) -> Failure | None:
        return full if epoch == 2 and job.micro_batches == 1 else None

    executor, todo = MeasuringExecutor(fails=fails), tasks(tmp_path, trials=1, seeds=1)
    first = retraining(executor, todo, retries=0)
    executor.before_wait = lambda waits: first.stop("interrupted", at_once=True) if waits == 2 else None
    assert first.run() == "interrupted"
    assert [(job.from_epoch, job.micro_batches) for job in executor.jobs] == [(0, 1), (1, 2)]
    again = MeasuringExecutor(fails=fails)
    assert retraining(again, todo, retries=0).run() == "done"
    assert [job.micro_batches for job in again.jobs] == [2]
    assert todo[0].done


def test_where_batches_must_stay_whole_out_of_memory_is_a_failure(tmp_path: Path) -> None:
    full = Failure("out_of_memory", "CUDA out of memory")
    executor, todo = MeasuringExecutor(fails=failing(full)), tasks(tmp_path, trials=1, seeds=1)
    driver = TrainingList(executor, todo, Rules(EPOCHS, 2, halves=False), epochs=by_epoch)
    assert driver.run() == "done"
    assert driver.failures == {todo[0].folder: full}
    assert len(executor.jobs) == 1


def test_what_every_training_would_meet_stops_them_all_and_loses_none(tmp_path: Path) -> None:
    todo = tasks(tmp_path)
    gone = Failure("data", "no images in /mnt/gone")
    executor = MeasuringExecutor(2, fails=failing(gone))
    law = "data must stay readable while networks are trained: no images in /mnt/gone"
    with pytest.raises(DriverStoppedError, match=law):
        retraining(executor, todo).run()
    assert executor.closed
    assert len(executor.jobs) == 2
    assert retraining(MeasuringExecutor(), todo).run() == "done"
    assert all(task.done for task in todo)


def test_an_attempt_is_one_more_than_any_that_left_a_file(tmp_path: Path) -> None:
    assert next_attempt(tmp_path / "nowhere") == 1
    for name in ("attempt2-epoch001.pt", ".attempt4-epoch002.pt.part", "attempt10-epoch001.unreadable", "log.txt"):
        (tmp_path / name).touch()
    assert next_attempt(tmp_path) == 11


class Noting:
    def __init__(self) -> None:
        self.seen: list[ListProgress] = []
        self.ended: list[ListProgress] = []

    def on_progress(self, progress: ListProgress) -> None:
        self.seen.append(progress)

    def on_end(self, progress: ListProgress) -> None:
        self.ended.append(progress)


def test_an_observer_is_told_of_every_training_and_of_the_end(tmp_path: Path) -> None:
    noting, todo = Noting(), tasks(tmp_path, trials=2, seeds=1)
    rules = Rules(EPOCHS, 2)
    assert TrainingList(MeasuringExecutor(1), todo, rules, epochs=by_epoch, observer=noting).run() == "done"
    labels = {each.label for progress in noting.seen for each in progress.running}
    assert labels == {"trial 0 seed 0", "trial 1 seed 0"}
    shares = [progress.share_done for progress in noting.seen]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert noting.seen[-1].running[0].curve  # its accuracies
    (end,) = noting.ended
    assert (end.done, end.total, end.share_done, end.seconds_left) == (2, 2, 1.0, 0.0)


def test_the_end_is_told_after_a_failure_too(tmp_path: Path) -> None:
    def breaks(waits: int) -> None:
        raise KeyboardInterrupt

    noting = Noting()
    driver = TrainingList(
        MeasuringExecutor(1, before_wait=breaks), tasks(tmp_path), Rules(EPOCHS, 2), epochs=by_epoch, observer=noting
    )
    with pytest.raises(KeyboardInterrupt):
        driver.run()
    assert len(noting.ended) == 1
