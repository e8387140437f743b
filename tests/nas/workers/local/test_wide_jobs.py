"""Tests of jobs over several devices: ranks in real processes that exchange numbers, and the failure of one of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import gone, wait_until
from rank_runners import ToyRanks
from toy_runners import toy_row

from nas.jobs import Epoch, Failure, Job, Outcome
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.worker_loop import LOG_FILE

PATIENCE = 180.0
PRELOADED = ("nas.training.ranks", "nas.workers.local.process_group")
MakeExecutor = Callable[..., LocalExecutor]
MakeJob = Callable[..., Job]


@pytest.fixture
def executor() -> Iterator[MakeExecutor]:
    made: list[LocalExecutor] = []

    def make(*devices: str | None, deadline: float | None = None) -> LocalExecutor:
        made.append(LocalExecutor(ToyRanks(), devices, preload=PRELOADED, deadline_seconds=deadline))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def job(tmp_path: Path) -> MakeJob:
    def make(trial: int = 0, devices: int = 2, epochs: int = 3, **architecture: Any) -> Job:
        return Job(trial, 1, architecture, 0, 0, epochs, tmp_path / str(trial), devices=devices)

    return make


def unheard(_: Job, __: Epoch) -> None:
    """Ignore the epochs."""


def drain(executor: LocalExecutor, count: int = 1) -> list[Outcome]:
    outcomes: list[Outcome] = []
    until = time.monotonic() + PATIENCE
    while len(outcomes) < count:
        assert time.monotonic() < until, "no outcome"
        outcomes += executor.wait(0.2)
    return outcomes


def all_ended(executor: LocalExecutor) -> bool:
    """Wait for the processes of the jobs that ran; return whether all have ended."""
    until = time.monotonic() + PATIENCE
    while executor._pool.ending and time.monotonic() < until:
        executor.wait(0.05)
    return executor._pool.ending == 0 and executor.handles == ()


def log(tmp_path: Path, trial: int = 0) -> str:
    return (tmp_path / str(trial) / LOG_FILE).read_text()


def test_all_ranks_run_on_their_devices_and_rank_zero_reports(
    executor: MakeExecutor, job: MakeJob, tmp_path: Path
) -> None:
    running = executor("5", "7", "9")
    heard: list[int] = []
    handle = running.submit(job(devices=3), lambda _, row: heard.append(row.epoch))
    assert drain(running) == [Outcome(handle.job, tuple(toy_row(epoch) for epoch in (1, 2, 3)), None)]
    assert heard == [1, 2, 3]
    told = re.findall(r"rank (\d) of 3 sees (\d)", log(tmp_path))
    assert sorted(told) == [("0", "5"), ("1", "7"), ("2", "9")]
    assert all_ended(running)


@pytest.mark.slow
def test_ranks_are_reached_from_this_machine_alone(executor: MakeExecutor, job: MakeJob, tmp_path: Path) -> None:
    running = executor(None, None)
    running.submit(job(), unheard)
    drain(running)
    addresses = " ".join(re.findall(r"^listens(.*)$", log(tmp_path), re.MULTILINE)).split()
    assert addresses
    assert set(addresses) <= {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(("does", "how"), [("kill", "signal 9"), ("leave", "exit code 7")])
def test_a_dead_rank_is_a_dead_job(executor: MakeExecutor, job: MakeJob, rank: int, does: str, how: str) -> None:
    """Assert that the death is the failure, whatever error it causes in the other rank."""
    running = executor(None, None)
    handle = running.submit(job(epochs=5, does=does, rank=rank, at=3), unheard)
    (outcome,) = drain(running)
    message = f"process {rank + 1} of 2 of trial 0 ended with {how} and without an outcome"
    assert outcome == Outcome(handle.job, (toy_row(1), toy_row(2)), None, Failure("died", message))
    assert all_ended(running)
    running.submit(job(trial=1), unheard)  # its devices are free again
    assert drain(running)[0].failure is None


@pytest.mark.parametrize(
    ("does", "failure"),
    [
        ("fail", Failure("error", "LookupError: no such thing")),
        ("run_out", Failure("out_of_memory", "no memory for rank 1")),
    ],
)
def test_a_failed_rank_is_a_failed_job_and_the_others_end(
    executor: MakeExecutor, job: MakeJob, does: str, failure: Failure
) -> None:
    running = executor(None, None)
    running.submit(job(does=does, rank=1, at=2), unheard)
    (outcome,) = drain(running)
    assert (outcome.failure, outcome.curve) == (failure, (toy_row(1),))
    assert all_ended(running)


@pytest.mark.slow
def test_a_hanging_rank_meets_the_deadline(executor: MakeExecutor, job: MakeJob) -> None:
    running = executor(None, None, deadline=3.0)
    running.submit(job(does="hang", rank=1, at=1), unheard)
    (outcome,) = drain(running)
    assert outcome.failure == Failure("deadline", "trial 0 took longer than its deadline and was killed")
    assert all_ended(running)


def test_all_ranks_end_after_the_epoch_in_which_the_job_is_asked_to(executor: MakeExecutor, job: MakeJob) -> None:
    running = executor(None, None)
    handle = running.submit(job(epochs=1000, pause=0.05), lambda j, row: handle.stop_after_epoch())
    (outcome,) = drain(running)
    assert outcome.failure is None
    assert 1 <= outcome.epoch < 1000
    assert all_ended(running)


def test_jobs_of_both_kinds_run_beside_each_other(executor: MakeExecutor, job: MakeJob, tmp_path: Path) -> None:
    running = executor("0", "1", "2", "3", "4")
    for trial, devices in enumerate((2, 1, 2)):
        running.submit(job(trial, devices, pause=0.05), unheard)
    with pytest.raises(ValueError, match="a job over 1 devices needs as many free slots, got 0"):
        running.submit(job(3, 1), unheard)
    assert {(outcome.job.trial, outcome.epoch, outcome.failure) for outcome in drain(running, 3)} == {
        (trial, 3, None) for trial in range(3)
    }
    seen = [sorted(re.findall(r"sees (\d)", log(tmp_path, trial))) for trial in range(3)]
    assert seen == [["0", "1"], ["2"], ["3", "4"]]


DRIVER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from nas.jobs import Job
    from nas.workers.local.executor import LocalExecutor
    from rank_runners import ToyRanks

    if __name__ == "__main__":
        preload = ("nas.training.ranks", "nas.workers.local.process_group")
        executor = LocalExecutor(ToyRanks(), (None, None), preload=preload)
        job = Job(0, 1, {"does": "hang", "rank": 1, "at": 2}, 0, 0, 9, Path(sys.argv[1]), devices=2)
        workers = []
        def tell(*_):
            print(*(worker.process.pid for worker in workers), flush=True)
        workers += executor.submit(job, tell).workers
        while True:
            executor.wait(1.0)
    """
)


@pytest.mark.slow
def test_ranks_that_wait_for_each_other_end_when_their_driver_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    support = str(Path(sys.modules["rank_runners"].__file__ or "").parent)
    command = [sys.executable, str(script), str(tmp_path / "0"), support]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as driver:
        assert driver.stdout is not None
        pids = [int(word) for word in driver.stdout.readline().split()]
        assert len(pids) == 2
        driver.kill()
        wait_until(lambda: all(gone(pid) for pid in pids), "a rank outlived its driver")


def test_a_killed_job_and_a_closed_executor_leave_nothing(
    executor: MakeExecutor, job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    running = executor(None, None)
    handle = running.submit(job(does="hang", rank=0, at=2), unheard)
    handle.kill()
    (outcome,) = drain(running)
    assert outcome.failure is not None
    assert outcome.failure.kind == "died"
    assert all_ended(running)
    pids = [worker.process.pid for worker in running.submit(job(does="hang", rank=0, at=1), unheard).workers]
    assert len(list(tmp_path.glob("nas-*"))) == 1
    running.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid or 0, signal.SIGCONT)
    assert list(tmp_path.glob("nas-*")) == []
