"""Tests of worker processes that run several jobs: no job affects the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import gone, wait_until
from toy_runners import ToyRunner, let_go

from nas.config.workers import WorkersSpec
from nas.jobs import Epoch, Job, Outcome
from nas.workers.local import process_reuse
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.process_reuse import AUTO_JOBS, ProcessReuse, start_seconds
from nas.workers.local.worker_loop import LOG_FILE

PATIENCE = 180.0
Run = Callable[..., Outcome]


@pytest.fixture
def executor() -> Iterator[Callable[..., LocalExecutor]]:
    made: list[LocalExecutor] = []

    def make(reuse: ProcessReuse, slots: int = 1, pause: float = 0.0, deadline: float | None = None) -> LocalExecutor:
        made.append(LocalExecutor(ToyRunner(pause), (None,) * slots, reuse=reuse, deadline_seconds=deadline))
        return made[-1]

    yield make
    for one in made:
        one.close()


def job(folder: Path, trial: int, does: str = "tell", at: int = 1, epochs: int = 2) -> Job:
    return Job(trial, 1, {"does": does, "at": at}, 0, 0, epochs, folder / str(trial))


def unheard(_: Job, __: Epoch) -> None:
    """Ignore the epochs."""


def drain(executor: LocalExecutor, count: int = 1) -> list[Outcome]:
    outcomes: list[Outcome] = []
    until = time.monotonic() + PATIENCE
    while len(outcomes) < count:
        assert time.monotonic() < until, "no outcome"
        outcomes += executor.wait(0.2)
    return outcomes


def log(folder: Path, trial: int) -> str:
    return (folder / str(trial) / LOG_FILE).read_text()


def process_of(folder: Path, trial: int) -> int:
    """Return the process that ran a job with the action `tell`, from the job's log."""
    (pid,) = [line.split()[1] for line in log(folder, trial).splitlines() if line.startswith("pid")]
    return int(pid)


def test_a_process_runs_a_number_of_jobs_each_with_its_log_and_outcome(
    executor: Callable[..., LocalExecutor], tmp_path: Path
) -> None:
    running, heard = executor(ProcessReuse(3)), list[tuple[int, int]]()
    for trial in range(5):
        given = job(tmp_path, trial)
        running.submit(given, lambda one, row: heard.append((one.trial, row.epoch)))
        (outcome,) = drain(running)
        assert (outcome.job, outcome.epoch, outcome.failure) == (given, 2, None)
    pids = [process_of(tmp_path, trial) for trial in range(5)]
    assert pids == [pids[0]] * 3 + [pids[3]] * 2
    assert pids[3] != pids[0]
    assert heard == [(trial, epoch) for trial in range(5) for epoch in (1, 2)]


def test_every_slot_keeps_its_own_process(executor: Callable[..., LocalExecutor], tmp_path: Path) -> None:
    running = executor(ProcessReuse(10), slots=2)
    for trial in (0, 2, 4):
        running.submit(job(tmp_path, trial), unheard)
        running.submit(job(tmp_path, trial + 1), unheard)
        drain(running, 2)
    pids = [process_of(tmp_path, trial) for trial in range(6)]
    assert len(set(pids)) == 2
    assert pids == pids[:2] * 3


@pytest.mark.parametrize("does", ["fail", "leave", "kill"])
def test_after_a_failure_there_is_a_fresh_process(
    executor: Callable[..., LocalExecutor], tmp_path: Path, does: str
) -> None:
    running, failures = executor(ProcessReuse(10)), []
    for trial, action in enumerate(("tell", does, "tell")):
        running.submit(job(tmp_path, trial, action), unheard)
        failures += [outcome.failure is not None for outcome in drain(running)]
    assert failures == [False, True, False]
    assert process_of(tmp_path, 0) != process_of(tmp_path, 2)


def test_a_stop_and_a_kill_that_come_too_late_are_not_for_the_next_job(
    executor: Callable[..., LocalExecutor], tmp_path: Path
) -> None:
    running = executor(ProcessReuse(10), pause=0.05)
    first = running.submit(job(tmp_path, 0), lambda *_: first.stop_after_epoch())  # reaches the process twice
    assert drain(running)[0].failure is None
    running.submit(job(tmp_path, 1, epochs=6), unheard)
    first.stop_after_epoch()
    first.kill()
    (outcome,) = drain(running)
    assert (outcome.epoch, outcome.failure) == (6, None)
    assert process_of(tmp_path, 0) == process_of(tmp_path, 1)


def test_a_child_killed_between_two_jobs_costs_none_of_them(
    executor: Callable[..., LocalExecutor], tmp_path: Path
) -> None:
    running = executor(ProcessReuse(10))
    running.submit(job(tmp_path, 0), unheard)
    drain(running)
    pid = process_of(tmp_path, 0)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid), "the process lives on")
    running.submit(job(tmp_path, 1), unheard)
    assert drain(running)[0].failure is None
    assert process_of(tmp_path, 1) != pid


def test_sigterm_ends_a_job_after_its_epoch_and_its_process_with_it(
    executor: Callable[..., LocalExecutor], tmp_path: Path
) -> None:
    running = executor(ProcessReuse(10), pause=0.1)

    def terminate(told: Job, row: Epoch) -> None:
        if row.epoch == 1:  # the second may arrive when the process has already ended
            os.kill(pid, signal.SIGTERM)
            let_go(told)

    handle = running.submit(job(tmp_path, 0, "heed", at=2, epochs=1000), terminate)
    pid = handle.rank_zero.process.pid
    (outcome,) = drain(running)
    assert outcome.failure is None
    assert 1 <= outcome.epoch <= 2
    running.submit(job(tmp_path, 1), unheard)
    assert drain(running)[0].epoch == 2
    assert process_of(tmp_path, 1) != pid


def test_sigterm_ends_an_idle_process(executor: Callable[..., LocalExecutor], tmp_path: Path) -> None:
    running = executor(ProcessReuse(10))
    running.submit(job(tmp_path, 0), unheard)
    drain(running)
    pid = process_of(tmp_path, 0)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: gone(pid), "the process lives on")
    running.submit(job(tmp_path, 1), unheard)
    assert drain(running)[0].epoch == 2


@pytest.mark.slow
def test_every_job_has_the_whole_deadline(executor: Callable[..., LocalExecutor], tmp_path: Path) -> None:
    running = executor(ProcessReuse(10), pause=0.7, deadline=4.0)
    for trial in range(3):  # 4.2 seconds in all
        running.submit(job(tmp_path, trial), unheard)
        assert drain(running)[0].failure is None
    running.submit(job(tmp_path, 3, "hang"), unheard)
    (outcome,) = drain(running)
    assert outcome.failure is not None
    assert outcome.failure.kind == "deadline"


def test_fifty_jobs_leave_nothing_in_their_process(executor: Callable[..., LocalExecutor], tmp_path: Path) -> None:
    running = executor(ProcessReuse(50))
    held = []
    for trial in range(50):
        running.submit(job(tmp_path, trial, "litter"), unheard)
        drain(running)
        pid, descriptors, resident = map(int, log(tmp_path, trial).split()[1:])
        held.append((pid, descriptors, resident))
    assert len({pid for pid, _, _ in held}) == 1
    assert len({descriptors for _, descriptors, _ in held}) == 1
    assert held[-1][2] - held[4][2] < 40 * 1024  # of 360 MiB that were left behind


def test_close_ends_idle_processes(executor: Callable[..., LocalExecutor], tmp_path: Path) -> None:
    running = executor(ProcessReuse(10), slots=2)
    for trial in (0, 1):
        running.submit(job(tmp_path, trial), unheard)
    drain(running, 2)
    pids = [process_of(tmp_path, trial) for trial in (0, 1)]
    assert not any(gone(pid) for pid in pids)
    running.close()
    assert all(gone(pid) for pid in pids)


DRIVER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from nas.jobs import Job
    from nas.workers.local.executor import LocalExecutor
    from nas.workers.local.process_reuse import ProcessReuse
    from toy_runners import ToyRunner

    if __name__ == "__main__":
        executor = LocalExecutor(ToyRunner(), (None,), reuse=ProcessReuse(10))
        executor.submit(Job(0, 1, {"does": "tell"}, 0, 0, 1, Path(sys.argv[1]) / "0"), lambda *_: None)
        while not executor.wait(1.0):
            pass
        print("served", flush=True)
        time.sleep(600)
    """
)


def test_an_idle_process_ends_when_its_driver_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    support = str(Path(sys.modules["toy_runners"].__file__ or "").parent)
    command = [sys.executable, str(script), str(tmp_path), support]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "served\n"
        pid = process_of(tmp_path, 0)
        assert not gone(pid)
        driver.kill()
        wait_until(lambda: gone(pid), "the process outlived its driver")


def test_a_process_stays_if_its_start_was_costly(executor: Callable[..., LocalExecutor], tmp_path: Path) -> None:
    running = executor(process_reuse(WorkersSpec()), pause=0.01)
    for trial in range(3):
        running.submit(job(tmp_path, trial, "dawdle", epochs=5), unheard)
        drain(running)
    assert len({process_of(tmp_path, trial) for trial in range(3)}) == 1


@pytest.mark.parametrize(
    ("reuse", "served", "start", "took", "kept"),
    [
        (ProcessReuse(1), 1, 9.0, 10.0, False),
        (ProcessReuse(3), 2, 0.0, 1e6, True),
        (ProcessReuse(3), 3, 9.0, 10.0, False),
        (ProcessReuse(3, adaptive=True), 1, 0.24, 2.1, True),
        (ProcessReuse(3, adaptive=True), 1, 0.24, 4.9, False),
        (ProcessReuse(3, adaptive=True), 2, 5.0, 99.0, True),
        (ProcessReuse(3, adaptive=True), 2, 5.0, 101.0, False),
        (ProcessReuse(3, adaptive=True), 3, 5.0, 6.0, False),
        (ProcessReuse(3, adaptive=True), 1, None, 99.0, True),
    ],
)
def test_a_process_is_replaced_if_a_fresh_one_costs_at_most_a_twentieth(
    reuse: ProcessReuse, served: int, start: float | None, took: float, kept: bool
) -> None:
    assert reuse.keeps(served, start, took) is kept


def test_a_start_costs_the_wait_for_it_and_the_excess_of_the_first_epoch() -> None:
    assert start_seconds(0.25, [3.5, 1.5]) == 2.25
    assert start_seconds(0.25, [3.5, 1.0, 9.0, 1.5]) == 2.25
    assert start_seconds(0.25, [1.0, 1.5]) == 0.25
    assert start_seconds(0.25, [3.5]) is None
    assert start_seconds(0.25, []) is None


def test_the_configuration_gives_the_number_of_jobs_of_a_process() -> None:
    assert process_reuse(WorkersSpec()) == ProcessReuse(AUTO_JOBS, adaptive=True)
    assert process_reuse(WorkersSpec(jobs_per_child=1)) == ProcessReuse()
    assert process_reuse(WorkersSpec(jobs_per_child=7)) == ProcessReuse(7)


def test_a_process_without_a_job_is_refused() -> None:
    with pytest.raises(ValueError, match="a worker process must run at least 1 job, got 0"):
        ProcessReuse(0)
