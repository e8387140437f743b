"""Simulated slots: jobs end in order of simulated time, after the recorded seconds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from engine import row

from nas.jobs import Epoch, Job
from nas.tabular.simulation.clock import SimulatedClock
from nas.tabular.simulation.executor import TableExecutor

SECONDS = {"a": (1.0, 2.0, 4.0), "b": (3.0, 1.0, 1.0)}


def executor(slots: int) -> tuple[TableExecutor, SimulatedClock]:
    clock = SimulatedClock()

    def look_up(architecture: object, repeat: int) -> tuple[Epoch, ...]:
        name = architecture["name"]  # type: ignore[index]  # the jobs below
        return tuple(row(epoch, seconds=spent) for epoch, spent in enumerate(SECONDS[name], 1))

    return TableExecutor(look_up, clock, slots), clock


def job(name: str, from_epoch: int = 0, to_epoch: int = 3, trial: int = 0) -> Job:
    folder = Path("/nowhere") / name
    checkpoint = folder / "epoch.pt" if from_epoch else None
    return Job(trial, 1, {"name": name}, 7, from_epoch, to_epoch, folder, checkpoint)


def quiet(job: Job, row: Epoch) -> None:
    """Ignore the epoch."""


def test_a_job_takes_the_seconds_of_its_own_epochs() -> None:
    runs, clock = executor(1)
    runs.submit(job("a", 1, 3), quiet)
    (outcome,) = runs.wait(math.inf)
    assert clock.now() == 6.0
    assert (outcome.epoch, outcome.seconds, outcome.failure) == (3, 7.0, None)
    assert runs.latest(Path("/nowhere/a")) == (outcome.checkpoint, 3)
    assert runs.latest(Path("/nowhere/b")) is None


def test_jobs_end_in_order_of_time_and_epochs_are_reported_as_they_end() -> None:
    runs, clock = executor(2)
    epochs: list[tuple[str, int, float]] = []

    def listen(job: Job, row: Epoch) -> None:
        epochs.append((str(job.architecture["name"]), row.epoch, clock.now()))

    runs.submit(job("a"), listen)
    runs.submit(job("b"), listen)
    ends = [(runs.wait(math.inf)[0].job.folder.name, clock.now()) for _ in range(2)]
    assert ends == [("b", 5.0), ("a", 7.0)]
    assert epochs == [("a", 1, 1.0), ("a", 2, 3.0), ("b", 1, 3.0), ("b", 2, 4.0), ("b", 3, 5.0), ("a", 3, 7.0)]


def test_a_wait_ends_at_its_timeout_and_without_jobs_at_once() -> None:
    runs, clock = executor(1)
    assert runs.wait(10.0) == []
    assert clock.now() == 0.0
    runs.submit(job("b"), quiet)
    assert runs.wait(0.5) == []
    assert clock.now() == 0.5
    assert [outcome.epoch for outcome in runs.wait(4.5)] == [3]


def test_a_stopped_job_ends_after_its_current_epoch() -> None:
    runs, clock = executor(1)
    handle = runs.submit(job("a"), quiet)
    runs.wait(1.5)
    handle.stop_after_epoch()
    assert [(outcome.epoch, clock.now()) for outcome in runs.wait(math.inf)] == [(2, 3.0)]


def test_a_job_without_an_epoch_left_takes_no_time() -> None:
    runs, clock = executor(1)
    runs.submit(job("a", 3, 3), quiet)
    assert [outcome.epoch for outcome in runs.wait(math.inf)] == [3]
    assert clock.now() == 0.0


def test_close_drops_the_running_jobs() -> None:
    runs, _ = executor(1)
    runs.submit(job("a"), quiet)
    runs.close()
    assert runs.wait(math.inf) == []


def test_wrong_slots_epochs_and_times_are_refused() -> None:
    with pytest.raises(ValueError, match="slots must be at least 1, got 0"):
        executor(0)
    with pytest.raises(ValueError, match="a table must record every epoch of a job, got 3 of 4"):
        executor(1)[0].submit(job("a", to_epoch=4), quiet)
    clock = SimulatedClock()
    clock.advance(2.0)
    with pytest.raises(ValueError, match=r"a clock goes forward, got 1.0 s at 2.0 s"):
        clock.advance(1.0)
