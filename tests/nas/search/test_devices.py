"""The driver with trials over one and over several devices: how free devices are counted, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine import FakeExecutor, Setting, counts

from nas.config.budget import Budget
from nas.study.study import open_study


def wide(*trials: int, devices: int = 2) -> Callable[[Mapping[str, Any]], int]:
    """The networks of these numbers, in the order in which they are first seen, take several devices."""
    seen: list[Mapping[str, Any]] = []

    def count(architecture: Mapping[str, Any]) -> int:
        if architecture not in seen:
            seen.append(architecture)
        return devices if seen.index(architecture) in trials else 1

    return count


def test_a_search_mixes_trials_over_one_and_over_several_devices(tmp_path: Path) -> None:
    executor = FakeExecutor(3)
    assert Setting(devices=wide(1, 3, 4), budget=Budget(trials=8)).run(tmp_path, executor) == "budget"
    assert counts(tmp_path) == (8, 0, 0, 0)
    assert [job.devices for job in executor.jobs] == [1, 2, 1, 2, 2, 1, 1, 1]
    assert executor.most == 3
    assert [record.training.devices for record in open_study(tmp_path).records()] == [1, 2, 1, 2, 2, 1, 1, 1]


def test_no_job_overtakes_one_that_waits_for_its_devices(tmp_path: Path) -> None:
    running: list[list[int]] = []
    executor = FakeExecutor(4, before_wait=lambda _: running.append([h.job.trial for h in executor.running]))
    Setting(devices=wide(2, devices=4), budget=Budget(trials=5)).run(tmp_path, executor)
    assert [trials for n, trials in enumerate(running) if trials != running[n - 1]] == [[0, 1], [2], [3, 4]]


def test_a_trial_over_more_devices_than_there_are_takes_all(tmp_path: Path) -> None:
    executor = FakeExecutor(2)
    assert Setting(devices=lambda _: 8, budget=Budget(trials=3)).run(tmp_path, executor) == "budget"
    assert [job.devices for job in executor.jobs] == [2, 2, 2]


def test_a_trial_that_waits_for_devices_when_a_search_stops_is_the_next_ones_first(tmp_path: Path) -> None:
    def stop(waits: int) -> None:
        if waits == 1:
            search.stop("told to")

    executor = FakeExecutor(2, before_wait=stop)
    search = Setting(devices=wide(1), budget=Budget(trials=3)).search(tmp_path, executor)
    assert search.run() == "told to"
    assert [job.trial for job in executor.jobs] == [0]
    assert counts(tmp_path) == (0, 0, 0, 2)
    assert [record.training.frozen for record in open_study(tmp_path).records()] == [True, True]
    resumed = FakeExecutor(2)
    assert Setting(devices=wide(1), budget=Budget(trials=3)).run(tmp_path, resumed) == "budget"
    assert [(job.trial, job.attempt, job.devices) for job in resumed.jobs] == [(0, 2, 1), (1, 1, 2), (2, 1, 1)]
