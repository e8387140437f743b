"""Packs of a list of trainings: seeds of one network in one job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from engine import EPOCHS, candidate

from nas.evaluation.retrain.files import SEED_FILE, seed_folder, trial_folder
from nas.evaluation.retrain.task import RetrainTask, Subject
from nas.evaluation.training_list import HALVES, Rules, TrainingList
from nas.jobs import Epoch, Failure, FailureKind, Job, Outcome
from nas.jobs.files import write_json
from nas.study.training_state import TrainingState
from nas.study.trial import Record
from nas.training.checkpoint_folder import by_epoch

SCORES = dict.fromkeys(("val_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss"), 0.5)


@dataclass
class Handle:
    job: Job

    def stop_after_epoch(self) -> None:
        """Do nothing: jobs are instant."""

    def kill(self) -> None:
        """Do nothing: jobs are instant."""


@dataclass
class InstantExecutor:
    """Trains every job in full at the next `wait`, unless `fails` gives the failure of a pack or of one of its jobs."""

    fails: Callable[[Job], Failure | None] = lambda job: None
    slots: int = 1
    packs: Callable[[Job], Sequence[Outcome]] | None = None
    jobs: list[Job] = field(default_factory=list)
    pending: list[tuple[Job, Callable[[Job, Epoch], None]]] = field(default_factory=list)

    def submit(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> Handle:
        assert len(self.pending) < self.slots
        self.jobs.append(job)
        self.pending.append((job, on_epoch))
        return Handle(job)

    def wait(self, timeout: float) -> Sequence[Outcome]:
        outcomes = []
        for job, on_epoch in self.pending:
            if job.pack and self.packs is not None:
                first, *others = self.packs(job)
                outcomes.append(replace(first, job=job, pack=tuple(others)))
                continue
            failure = self.fails(job) if job.pack else None
            if failure is not None:
                outcomes.append(Outcome.failing(job, failure))
                continue
            first, *others = [self._train(member, on_epoch) for member in job.members]
            outcomes.append(Outcome(job, first.curve, first.checkpoint, first.failure, tuple(others)))
        self.pending = []
        return outcomes

    def close(self) -> None:
        """Do nothing: there are no processes."""

    def _train(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> Outcome:
        failure = self.fails(job)
        if failure is not None:
            return Outcome(job, (), None, failure)
        rows = tuple(Epoch(epoch, 1.0, 1.0, 0.5, 0.5, 1.0) for epoch in range(job.from_epoch + 1, EPOCHS + 1))
        for row in rows:
            on_epoch(job, row)
        path = checkpoint(job.folder, EPOCHS, job.attempt)
        write_json(
            job.folder / SEED_FILE,
            {"seed": job.seed, "checkpoint": path.name, "epochs": EPOCHS, "test_images": 1, **SCORES},
        )
        return Outcome(job, rows, path)


def checkpoint(folder: Path, epoch: int, attempt: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"attempt{attempt}-epoch{epoch:03d}.pt"
    path.touch()
    return path


def tasks(study: Path, trials: int = 2, seeds: int = 3) -> list[RetrainTask]:
    records = [Record(number, "complete", candidate(number), (), TrainingState(), {}, None) for number in range(trials)]
    return [
        RetrainTask(Subject.of_trial(record, study), seed, seed_folder(trial_folder(study, record.number), seed))
        for seed in range(seeds)
        for record in records
    ]


def run(todo: list[RetrainTask], executor: InstantExecutor, pack: int = 8, retries: int = 2) -> TrainingList:
    rules = Rules(EPOCHS, retries, pack=lambda _: pack)
    driver = TrainingList(executor, todo, rules, epochs=by_epoch)
    driver.run()
    return driver


def seeds(job: Job) -> tuple[int, list[int]]:
    return job.trial, [member.seed for member in job.members]


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        (8, [(0, [0, 1, 2]), (1, [0, 1, 2])]),
        (2, [(0, [0, 1]), (1, [0, 1]), (0, [2]), (1, [2])]),
        (1, [(trial, [seed]) for seed in range(3) for trial in range(2)]),
    ],
)
def test_seeds_of_a_network_are_trained_together(
    tmp_path: Path, pack: int, expected: list[tuple[int, list[int]]]
) -> None:
    executor, todo = InstantExecutor(), tasks(tmp_path)
    driver = run(todo, executor, pack)
    assert [seeds(job) for job in executor.jobs] == expected
    assert all(task.done for task in todo)
    assert not driver.failures


@pytest.mark.parametrize(
    ("slots", "trials", "sizes"),
    [(2, 2, [3, 3]), (8, 1, [1, 1, 1]), (2, 1, [2, 1]), (4, 4, [3, 3, 3, 3]), (3, 2, [2, 2, 1, 1])],
)
def test_packs_leave_no_slot_idle(tmp_path: Path, slots: int, trials: int, sizes: list[int]) -> None:
    executor = InstantExecutor(slots=slots)
    run(tasks(tmp_path, trials), executor)
    assert [len(job.members) for job in executor.jobs] == sizes


def test_a_damaged_checkpoint_costs_the_other_members_nothing(tmp_path: Path) -> None:
    todo = tasks(tmp_path, trials=1)
    for task in todo:
        checkpoint(task.folder, 2)
    executor = InstantExecutor()
    damaged, other = Failure(FailureKind.CHECKPOINT, "damaged"), Failure(FailureKind.ERROR, "another's")

    def pack_of(job: Job) -> Sequence[Outcome]:
        return [Outcome(each, (), None, damaged if each.seed == 1 else other) for each in job.members]

    executor.packs = pack_of
    run(todo, executor)
    assert [(job.from_epoch, seeds(job)[1]) for job in executor.jobs[:1]] == [(2, [0, 1, 2])]
    assert sorted((seeds(job)[1], job.from_epoch) for job in executor.jobs[1:]) == [([0], 2), ([1], 0), ([2], 2)]
    assert all(task.done for task in todo)


@pytest.mark.parametrize("kind", [FailureKind.DIED, FailureKind.OUT_OF_MEMORY, FailureKind.ERROR, FailureKind.DEADLINE])
def test_after_a_failure_of_its_process_each_is_trained_alone(tmp_path: Path, kind: FailureKind) -> None:
    executor = InstantExecutor(lambda job: Failure(kind, "killed") if job.pack else None)
    todo = tasks(tmp_path, trials=1)
    driver = run(todo, executor, retries=0)  # the retry is not counted: the pack may be the cause
    assert sorted(seeds(job) for job in executor.jobs) == [(0, [0]), (0, [0, 1, 2]), (0, [1]), (0, [2])]
    assert all(job.micro_batches == 1 for job in executor.jobs)
    assert all(task.done for task in todo)
    assert not driver.failures


def test_a_member_that_fails_by_itself_leaves_the_others(tmp_path: Path) -> None:
    nan = Failure(FailureKind.NAN, "the training loss must stay finite, got nan")
    executor = InstantExecutor(lambda job: nan if not job.pack and job.seed == 1 else None)
    todo = tasks(tmp_path, trials=1)
    driver = run(todo, executor)
    assert [seeds(job) for job in executor.jobs] == [(0, [0, 1, 2])]
    assert [task.done for task in todo] == [True, False, True]
    assert list(driver.failures) == [todo[1].folder]


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        ([2, 2, 2], (2, [0, 1, 2])),
        ([3, 2, 3], (2, [0, 1, 2])),  # one was a checkpoint behind
        ([2, 3, 3], (2, [0, 1, 2])),
        ([0, 1, 1], (0, [0, 1, 2])),  # its first checkpoint was not yet there
        ([3, 1, 3], (3, [0, 2])),  # too far apart
        ([3, 3, 0], (3, [0, 1])),
    ],
)
def test_a_pack_goes_on_from_an_epoch_that_all_have(
    tmp_path: Path, reached: list[int], expected: tuple[int, list[int]]
) -> None:
    todo = tasks(tmp_path, trials=1)
    for task, epoch in zip(todo, reached, strict=True):
        for kept in {epoch - 1, epoch} - {-1, 0}:
            checkpoint(task.folder, kept)
    executor = InstantExecutor()
    run(todo, executor)
    first = executor.jobs[0]
    assert (first.from_epoch, [member.seed for member in first.members]) == expected
    for member in first.members:
        wanted = None if first.from_epoch == 0 else member.folder / f"attempt1-epoch{first.from_epoch:03d}.pt"
        assert member.checkpoint == wanted


def test_halved_batches_and_several_devices_are_never_packed(tmp_path: Path) -> None:
    todo = tasks(tmp_path, trials=1)
    todo[0].folder.mkdir(parents=True)
    (todo[0].folder / HALVES).touch()
    executor = InstantExecutor()
    run(todo, executor)
    assert [seeds(job) for job in executor.jobs] == [(0, [0]), (0, [1, 2])]
    executor = InstantExecutor(slots=2)
    run([replace(task, devices=2) for task in tasks(tmp_path / "wide", trials=1)], executor)
    assert [len(job.members) for job in executor.jobs] == [1, 1, 1]
