"""Tests of whole searches on two slots, with networks trained over one and over both of them."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from nas.cli import main
from nas.cli.app.compose import compose
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Epoch, Job, Outcome
from nas.search import build, executors
from nas.search.executors import allocation_of, executor_for, step_memory
from nas.study.study import open_study
from nas.workers.local.executor import LocalExecutor, LocalHandle, OnEpoch

EPOCHS = 3
WORDS = [
    "search",
    "sampler=random",
    "fidelity=full",
    "seed=3",
    "budget.trials=4",
    f"training.epochs={EPOCHS}",
    "data.train_fraction=0.2",
    "workers.slots=2",
    "workers.devices_per_trial=auto",
    "workers.device_gmacs=0.0064",
    "tracking=none",
]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def results_of(folder: Path) -> list[tuple[Any, ...]]:
    """Return the results of all trials but the seconds of their epochs, which alone may differ between two runs."""
    rows = []
    for record in open_study(folder).records():
        curve = [{key: value for key, value in row.to_json().items() if key != "seconds"} for row in record.curve]
        rows.append((record.state, record.candidate.network_id, record.training.devices, curve, record.values))
    return rows


@pytest.mark.slow
def test_a_search_that_loses_a_rank_of_each_wide_trial_ends_like_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mix trials over one and over two devices in both searches, by their predicted work."""
    assert main([*WORDS, f"outputs={tmp_path}", "study=unbroken"]) == 0
    submit, killed = LocalExecutor.submit, []

    def sabotaged(self: LocalExecutor, job: Job, on_epoch: OnEpoch) -> LocalHandle:
        def kill_a_rank(told: Job, row: Epoch) -> None:
            on_epoch(told, row)
            if job.devices == 2 and (job.attempt, row.epoch) == (1, 2):
                pid = handle.workers[len(killed) % 2].process.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                killed.append(job.trial)

        handle = submit(self, job, kill_a_rank)
        return handle

    monkeypatch.setattr(LocalExecutor, "submit", sabotaged)
    assert main([*WORDS, f"outputs={tmp_path}", "study=broken"]) == 0
    unbroken, broken = results_of(tmp_path / "unbroken"), results_of(tmp_path / "broken")
    assert broken == unbroken
    assert [state for state, *_ in unbroken] == ["complete"] * 4
    assert {devices for _, _, devices, _, _ in unbroken} == {1, 2}
    wide = [record for record in open_study(tmp_path / "broken").records() if record.training.devices == 2]
    assert len(killed) == len(wide) == 2
    assert all(record.training.retries == {"died": 1} for record in wide)


def test_networks_of_a_space_train_over_two_devices_like_in_halves_on_one(tmp_path: Path) -> None:
    """Compare with batch norm and augmentation."""
    config: Any = compose("search", [*WORDS[1:], "training.ema_decay=0.9"])
    space = build.prepare(config).space
    architecture = space.draw(random.Random(2)).to_json()
    executor = executor_for(TrialRunner(config.data, config.training, 1), config.workers)
    jobs = [
        Job(0, 1, architecture, 5, 0, EPOCHS, tmp_path / "over two", devices=2),
        Job(1, 1, architecture, 5, 0, EPOCHS, tmp_path / "in halves", micro_batches=2),
    ]
    outcomes: list[Outcome] = []
    try:
        for job in jobs:
            executor.submit(job, lambda *_: None)
            while not (ended := executor.wait(1.0)):
                pass
            outcomes += ended
    finally:
        executor.close()
    assert [outcome.failure for outcome in outcomes] == [None, None]
    over_two, in_halves = (
        [(row.train_loss, row.val_loss, row.val_accuracy) for row in outcome.curve] for outcome in outcomes
    )
    assert len(over_two) == EPOCHS
    for one, other in zip(over_two, in_halves, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["workers.devices_per_trial=3"], "must be at most the number of slots, 2, got 3"),
        (["workers.devices_per_trial=2", "training.batch_size=3"], "must be at least 2 a device, 4 over 2, got 3"),
        (["workers.devices_per_trial=0"], "workers.devices_per_trial must be auto or at least 1, got 0"),
        (["workers=ray"], "workers.devices_per_trial must be a number with workers=ray, got auto"),
        (["workers.device_gmacs=0"], "workers.device_gmacs must be positive, got 0"),
    ],
)
def test_devices_that_cannot_be_had_are_refused_before_anything_is_written(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, *words, f"outputs={tmp_path}", "study=s"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_slots_that_share_a_gpu_have_no_trials_over_several(monkeypatch: pytest.MonkeyPatch) -> None:
    config: Any = compose("search", [*WORDS[1:], "workers.slots=4", "workers.slot_memory_gib=1"])
    monkeypatch.setattr(executors, "visible_gpus", lambda: ("0", "1"))
    with pytest.raises(ValueError, match="may be auto only where each slot has a GPU of its own, got 4 slots on 2"):
        allocation_of(config.training, config.workers)
    monkeypatch.setattr(executors, "visible_gpus", lambda: ("0", "1", "2", "3"))
    assert allocation_of(config.training, config.workers).most == 4


def test_the_memory_of_a_step_is_that_over_the_most_devices() -> None:
    config: Any = compose("search", [*WORDS[1:], "workers.slots=4", "training.batch_size=64"])
    assert step_memory(config.training, config.workers).batch_size == 16
    config = compose("search", [*WORDS[1:], "workers.devices_per_trial=1"])
    assert step_memory(config.training, config.workers).batch_size == 64
