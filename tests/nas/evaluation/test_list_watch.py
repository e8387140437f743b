"""Watch over a list of trainings: its share done and the time left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from engine import FakeClock

from nas.evaluation.list_watch import ListWatch
from nas.jobs import Epoch, Job


@dataclass(frozen=True)
class Task:
    label: str
    architecture: dict[str, int]
    folder: Path


def job(task: Task) -> Job:
    return Job(0, 1, {}, 0, 0, 10, task.folder, None)


def row(epoch: int, seconds: float) -> Epoch:
    return Epoch(epoch, 1.0, 1.0, 0.5, 0.5, seconds)


def test_the_time_left_is_that_of_the_epochs_of_each_network() -> None:
    clock = FakeClock()
    todo = [Task(f"{n}", {"network": n % 2}, Path(f"/{n}")) for n in range(4)]
    waiting = {task.folder: task for task in todo}
    watch = ListWatch(waiting, dict.fromkeys(waiting, 0), total=5, epochs=10, slots=2, now=clock.now)
    assert watch.seconds_left is None
    assert watch.progress([], stopping=False).share_done == pytest.approx(10 / 50)  # one was done before
    first, other, *_ = todo  # of two networks
    for task in (first, other):
        watch.on_submit(job(task))
    watch.on_epoch(job(first), row(1, 4.0))
    assert watch.seconds_left == pytest.approx(4.0 * (9 + 3 * 10) / 2)
    watch.on_epoch(job(other), row(1, 2.0))
    assert watch.seconds_left == pytest.approx((9 * 4 + 9 * 2 + 10 * 4 + 10 * 2) / 2)
    watch.on_give_up(todo[2].folder)
    watch.on_done(todo[3].folder)
    assert watch.seconds_left == pytest.approx(9 * 4)  # no less than the longest training
    clock.seconds = 6.0
    assert watch.seconds_left == pytest.approx(2 * 9 * 4)  # 12 s of slots were 6 s of training
    found = watch.progress([], stopping=True)
    assert (found.done, found.failed, found.total, found.stopping, found.clock_seconds) == (2, 1, 5, True, 6.0)
