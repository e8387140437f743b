"""Tests of the local executor with toy runners in real processes: outcomes, deaths, deadlines, stops, clean-up."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import gone, session, wait_until
from toy_runners import ToyRunner, let_go, toy_row

from nas.jobs import Epoch, Failure, Job, Outcome
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.worker_loop import LOG_FILE

PATIENCE = 180.0
MakeExecutor = Callable[..., LocalExecutor]


@pytest.fixture
def executor() -> Iterator[MakeExecutor]:
    made: list[LocalExecutor] = []

    def make(*devices: str | None, pause: float = 0.0, deadline: float | None = None) -> LocalExecutor:
        made.append(LocalExecutor(ToyRunner(pause), devices or (None,), deadline_seconds=deadline))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def make(does: str = "nothing", at: int = 1, trial: int = 0, epochs: int = 2, begin: int = 0) -> Job:
        folder = tmp_path / str(trial)
        start = folder / "checkpoint" if begin else None
        return Job(trial, 1, {"does": does, "at": at}, 0, begin, epochs, folder, start)

    return make


def drain(executor: LocalExecutor, count: int = 1) -> list[Outcome]:
    outcomes: list[Outcome] = []
    until = time.monotonic() + PATIENCE
    while len(outcomes) < count:
        assert time.monotonic() < until, "no outcome"
        outcomes += executor.wait(0.2)
    return outcomes


def unheard(_: Job, __: Epoch) -> None:
    """Ignore the epochs."""


def test_a_job_ends_with_its_outcome_and_every_epoch_is_heard(
    executor: MakeExecutor, job: Callable[..., Job], tmp_path: Path
) -> None:
    (tmp_path / "0").mkdir()
    heard: list[tuple[int, int]] = []
    running = executor()
    given = job(epochs=4, begin=1)
    handle = running.submit(given, lambda j, row: heard.append((j.trial, row.epoch)))
    assert handle.job == given
    assert drain(running) == [Outcome(given, tuple(toy_row(epoch) for epoch in (1, 2, 3, 4)), None)]
    assert heard == [(0, 2), (0, 3), (0, 4)]
    assert running.handles == ()


def test_an_exception_of_the_runner_is_the_failure_and_its_traceback_is_logged(
    executor: MakeExecutor, job: Callable[..., Job], tmp_path: Path
) -> None:
    running = executor()
    running.submit(job("fail", at=2), unheard)
    (outcome,) = drain(running)
    assert outcome.failure == Failure("error", "LookupError: no such thing")
    assert "Traceback" in (tmp_path / "0" / LOG_FILE).read_text()


def test_a_log_on_a_read_only_file_system_is_a_failure_of_that_kind(
    executor: MakeExecutor, job: Callable[..., Job], mount: Callable[[str], Path]
) -> None:
    folder = mount("ro")
    running = executor()
    running.submit(dataclasses.replace(job(), folder=folder / "0"), unheard)
    (outcome,) = drain(running)
    assert outcome.failure == Failure("read_only", f"Read-only file system: {folder / '0'}")


@pytest.mark.parametrize(("does", "how"), [("leave", "exit code 7"), ("kill", "signal 9")])
def test_the_death_of_a_process_is_noticed_and_keeps_its_epochs(
    executor: MakeExecutor, job: Callable[..., Job], does: str, how: str
) -> None:
    running = executor()
    running.submit(job(does, at=3, epochs=5), unheard)
    (outcome,) = drain(running)
    message = f"the process of trial 0 ended with {how} and without an outcome"
    assert outcome == Outcome(outcome.job, (toy_row(1), toy_row(2)), None, Failure("died", message))


def test_a_killed_job_dies_and_the_slot_is_free_again(executor: MakeExecutor, job: Callable[..., Job]) -> None:
    running = executor()
    running.submit(job("hang"), unheard).kill()
    (outcome,) = drain(running)
    assert outcome.failure is not None
    assert (outcome.failure.kind, "signal 9" in outcome.failure.message) == ("died", True)
    running.submit(job(trial=1), unheard)
    assert drain(running)[0].epoch == 2


def test_a_job_past_its_deadline_is_killed(executor: MakeExecutor, job: Callable[..., Job]) -> None:
    running = executor(deadline=0.3)
    running.submit(job("hang", at=2), unheard)
    (outcome,) = drain(running)
    assert outcome.failure == Failure("deadline", "trial 0 took longer than its deadline and was killed")


def test_a_job_asked_to_stop_ends_its_epoch_and_no_other(executor: MakeExecutor, job: Callable[..., Job]) -> None:
    running = executor(pause=0.2)

    def stop(told: Job, row: Epoch) -> None:
        handle.stop_after_epoch()
        let_go(told)

    handle = running.submit(job("heed", at=2, epochs=1000), stop)
    (outcome,) = drain(running)
    assert outcome.failure is None
    assert 1 <= outcome.epoch <= 3
    handle.stop_after_epoch()  # too late is no error


def test_wait_comes_back_in_time_and_without_jobs(executor: MakeExecutor, job: Callable[..., Job]) -> None:
    running = executor()
    assert list(running.wait(0.05)) == []
    running.submit(job("hang"), unheard)
    assert list(running.wait(0.05)) == []


def test_each_slot_has_its_device_and_one_job_at_a_time(
    executor: MakeExecutor, job: Callable[..., Job], tmp_path: Path
) -> None:
    running = executor("5", "7,8")
    assert running.slots == 2
    for trial in (0, 1):
        running.submit(job("tell", trial=trial), unheard)
    with pytest.raises(ValueError, match="a job over 1 devices needs as many free slots, got 0"):
        running.submit(job(trial=2), unheard)
    drain(running, 2)
    running.submit(job("tell", trial=2), unheard)
    drain(running)
    logs = [(tmp_path / str(trial) / LOG_FILE).read_text() for trial in range(3)]
    assert [log.splitlines()[0].split()[1] for log in logs if log.startswith("device")] == ["5", "7,8", "5"]


def test_all_output_of_a_process_goes_to_its_log_and_ctrl_c_does_not_reach_it(
    executor: MakeExecutor, job: Callable[..., Job], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    running = executor()
    running.submit(job("tell"), unheard)
    drain(running)
    log = (tmp_path / "0" / LOG_FILE).read_text()
    for words in ("deaf True", "to standard error", "from below Python"):
        assert words in log
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_to_the_driver_is_not_lost(executor: MakeExecutor, job: Callable[..., Job]) -> None:
    """Assert that an interrupt is delayed only while a process starts."""
    running = executor()
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        running.submit(job(), unheard)
        os.kill(os.getpid(), signal.SIGINT)
        assert seen == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
    drain(running)


def await_leaving(running: LocalExecutor) -> None:
    """Wait until all released processes have ended."""
    until = time.monotonic() + 20.0
    while running._pool.ending and time.monotonic() < until:
        running.wait(0.05)


def test_thirty_jobs_leave_nothing_behind(executor: MakeExecutor, job: Callable[..., Job]) -> None:
    running = executor(None, None)
    running.submit(job(), unheard)
    drain(running)
    await_leaving(running)
    before = sorted(os.listdir("/proc/self/fd"))
    for trial in range(0, 30, 2):
        running.submit(job("kill" if trial % 6 == 0 else "nothing", trial=trial), unheard)
        running.submit(job(trial=trial + 1), unheard)
        drain(running, 2)
    await_leaving(running)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_close_kills_what_runs(executor: MakeExecutor, job: Callable[..., Job]) -> None:
    running = executor(None, None)
    pids = [running.submit(job("hang", trial=trial), unheard).rank_zero.process.pid for trial in (0, 1)]
    running.close()
    assert all(pid is not None and gone(pid) for pid in pids)
    assert running.handles == ()
    running.close()


def test_an_executor_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="an executor needs at least one slot, got none"):
        LocalExecutor(ToyRunner(), ())


DRIVER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from nas.jobs import Job
    from nas.workers.local.executor import LocalExecutor
    from toy_runners import ToyRunner

    if __name__ == "__main__":
        executor = LocalExecutor(ToyRunner(0.1), (None, None))
        for trial in (0, 1):
            folder = Path(sys.argv[1]) / str(trial)
            job = Job(trial, 1, {"does": "tell" if trial else "hang", "at": 1}, 0, 0, 9999, folder)
            print(executor.submit(job, lambda *_: None).rank_zero.process.pid, flush=True)
        while True:
            executor.wait(1.0)
    """
)


def test_worker_processes_end_when_their_driver_is_killed(tmp_path: Path) -> None:
    """Kill a driver with a training process and a hanging one: neither outlives it, nor does the fork server."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    support = str(Path(sys.modules["toy_runners"].__file__ or "").parent)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), support], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:
        assert driver.stdout is not None
        pids = [int(driver.stdout.readline()) for _ in range(2)]
        wait_until((tmp_path / "1" / LOG_FILE).exists, "the second process has not started")
        assert not any(gone(pid) for pid in pids)
        driver.kill()
        wait_until(lambda: all(gone(pid) for pid in pids), "a worker process outlived its driver")
        wait_until(lambda: not session(driver.pid), "a process of the session outlived the driver")
