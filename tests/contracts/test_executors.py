"""Contract of every executor, with toy runners in real processes: on this machine, and on a Ray cluster of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray_here import ray_here
from toy_runners import ToyRunner, toy_row

from nas.config.workers import WorkersSpec
from nas.jobs import Epoch, Executor, Failure, Job, Outcome
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.worker_loop import LOG_FILE
from nas.workers.ray.executor import RayExecutor

PATIENCE = 180.0
RAY = WorkersSpec(name="ray", gpus_per_trial=0.0)
KINDS = ("local", pytest.param("ray", marks=pytest.mark.xdist_group("ray")))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with ray_here():
        yield


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Executor]]:
    made: list[Executor] = []
    if request.param == "ray":
        request.getfixturevalue("cluster")

    def one(pause: float = 0.0, deadline: float | None = None) -> Executor:
        runner = ToyRunner(pause)
        if request.param == "ray":
            made.append(RayExecutor(runner, RAY, deadline_seconds=deadline))
        else:
            made.append(LocalExecutor(runner, (None, None), deadline_seconds=deadline))
        return made[-1]

    yield one
    for executor in made:
        executor.close()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def of(does: str = "nothing", at: int = 1, trial: int = 0, epochs: int = 2, begin: int = 0) -> Job:
        folder = tmp_path / str(trial)
        start = folder / "checkpoint" if begin else None
        return Job(trial, 1, {"does": does, "at": at}, 0, begin, epochs, folder, start)

    return of


def drain(executor: Executor, count: int = 1) -> list[Outcome]:
    outcomes: list[Outcome] = []
    until = time.monotonic() + PATIENCE
    while len(outcomes) < count:
        assert time.monotonic() < until, "no outcome"
        outcomes += executor.wait(0.2)
    return outcomes


def unheard(_: Job, __: Epoch) -> None:
    """Ignore the epochs."""


def test_a_job_ends_with_its_outcome_after_every_epoch_is_reported(
    make: Callable[..., Executor], job: Callable[..., Job]
) -> None:
    heard: list[tuple[int, int]] = []
    executor, given = make(), job(epochs=4, begin=1)
    handle = executor.submit(given, lambda j, row: heard.append((j.trial, row.epoch)))
    assert handle.job == given
    assert drain(executor) == [Outcome(given, tuple(toy_row(epoch) for epoch in (1, 2, 3, 4)), None)]
    assert heard == [(0, 2), (0, 3), (0, 4)]


@pytest.mark.few(1)
def test_epochs_are_reported_while_the_job_runs(make: Callable[..., Executor], job: Callable[..., Job]) -> None:
    executor = make()
    heard: list[int] = []
    handle = executor.submit(job("hang", at=3, epochs=5), lambda _, row: heard.append(row.epoch))
    until = time.monotonic() + PATIENCE
    while heard != [1, 2]:
        assert time.monotonic() < until, heard
        assert list(executor.wait(0.1)) == []
    handle.kill()
    (outcome,) = drain(executor)
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.curve) == ("died", (toy_row(1), toy_row(2)))


@pytest.mark.few(1)
def test_an_exception_of_the_runner_is_the_failure_and_its_traceback_is_logged(
    make: Callable[..., Executor], job: Callable[..., Job], tmp_path: Path
) -> None:
    executor = make()
    executor.submit(job("fail", at=2), unheard)
    (outcome,) = drain(executor)
    assert outcome.failure == Failure("error", "LookupError: no such thing")
    assert "Traceback" in (tmp_path / "0" / LOG_FILE).read_text()


@pytest.mark.parametrize("does", ["leave", "kill"])
def test_the_death_of_a_process_is_noticed_and_keeps_its_epochs(
    make: Callable[..., Executor], job: Callable[..., Job], does: str
) -> None:
    executor = make()
    executor.submit(job(does, at=3, epochs=5), unheard)
    (outcome,) = drain(executor)
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.curve, outcome.checkpoint) == ("died", (toy_row(1), toy_row(2)), None)


@pytest.mark.few(1)
def test_a_killed_job_dies_and_its_slot_is_free_again(make: Callable[..., Executor], job: Callable[..., Job]) -> None:
    executor = make()
    executor.submit(job("hang"), unheard).kill()
    (outcome,) = drain(executor)
    assert outcome.failure is not None
    assert outcome.failure.kind == "died"
    executor.submit(job(trial=1), unheard)
    assert drain(executor)[0].epoch == 2


@pytest.mark.few(1)
def test_a_job_past_its_deadline_is_killed(make: Callable[..., Executor], job: Callable[..., Job]) -> None:
    executor = make(deadline=0.5)
    executor.submit(job("hang", at=2), unheard)
    (outcome,) = drain(executor)
    assert outcome.failure == Failure("deadline", "trial 0 took longer than its deadline and was killed")


@pytest.mark.few(1)
def test_a_job_asked_to_stop_ends_its_epoch_and_no_other(
    make: Callable[..., Executor], job: Callable[..., Job]
) -> None:
    executor = make(pause=1.0)
    handle = executor.submit(job(epochs=1000), lambda j, row: handle.stop_after_epoch())
    (outcome,) = drain(executor)
    assert outcome.failure is None
    assert 1 <= outcome.epoch <= 4
    handle.stop_after_epoch()  # too late is no error


def test_wait_comes_back_in_time_and_without_jobs(make: Callable[..., Executor], job: Callable[..., Job]) -> None:
    executor = make()
    assert list(executor.wait(0.05)) == []
    executor.submit(job("hang"), unheard)
    assert list(executor.wait(0.05)) == []


@pytest.mark.few(1)
def test_jobs_run_side_by_side_and_log_apart(
    make: Callable[..., Executor], job: Callable[..., Job], tmp_path: Path
) -> None:
    executor = make(pause=0.2)
    assert executor.slots == 2
    for trial in (0, 1):
        executor.submit(job("tell", trial=trial), unheard)
    assert {outcome.job.trial for outcome in drain(executor, 2)} == {0, 1}
    logs = [(tmp_path / str(trial) / LOG_FILE).read_text() for trial in (0, 1)]
    for words in ("deaf True", "to standard error", "from below Python"):
        assert all(words in log for log in logs)
    pids = {line.split()[1] for log in logs for line in log.splitlines() if line.startswith("pid")}
    assert len(pids) == 2


def test_closing_twice_is_no_error(make: Callable[..., Executor], job: Callable[..., Job]) -> None:
    executor = make()
    executor.submit(job("hang"), unheard)
    executor.close()
    executor.close()
