"""The same trainings in children of their own and one after the other in one child: not a bit differs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.cli.app.compose import compose
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job, Outcome
from nas.search import build
from nas.search.executors import executor_for
from nas.search.proposer import training_seed
from nas.training.checkpoint import load

EPOCHS = 2
WORDS = [f"training.epochs={EPOCHS}", "data.train_fraction=0.1", "workers.slots=1"]


def trained(folder: Path, per_child: int, jobs: Sequence[Job]) -> list[Outcome]:
    config: Any = compose("search", [*WORDS, f"workers.jobs_per_child={per_child}"])
    runner, outcomes = TrialRunner(config.data, config.training, config.workers.threads_per_slot), []
    executor = executor_for(runner, config.workers)
    try:
        for place, job in enumerate(jobs):
            executor.submit(replace(job, folder=folder / str(place)), lambda *_: None)
            while not (ended := executor.wait(1.0)):
                pass
            outcomes += ended
    finally:
        executor.close()
    return outcomes


def test_a_curve_is_a_function_of_network_and_seed_whichever_child_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    config: Any = compose("search", WORDS)
    space = build.prepare(config).space
    generator, jobs = random.Random(4), []
    for trial in range(2):
        architecture = space.draw(generator)
        seed = training_seed(0, architecture.id)
        jobs.append(Job(trial, 1, architecture.to_json(), seed, 0, EPOCHS, tmp_path, micro_batches=1 + trial % 2))
    jobs.append(jobs[0])  # once more, after others have left what they leave
    fresh, served = trained(tmp_path / "fresh", 1, jobs[:2]), trained(tmp_path / "served", 10, jobs)
    assert [outcome.failure for outcome in served] == [None] * len(jobs)
    for one, other in zip([*fresh, fresh[0]], served, strict=True):
        assert numbers(one) == numbers(other)
        assert one.checkpoint is not None
        assert other.checkpoint is not None
        left, right = load(one.checkpoint, {}), load(other.checkpoint, {})
        assert left.state.network.keys() == right.state.network.keys()
        assert all(torch.equal(value, right.state.network[key]) for key, value in left.state.network.items())
    assert len({str(numbers(outcome)) for outcome in served}) == len(jobs) - 1


def numbers(outcome: Outcome) -> list[dict[str, float]]:
    return [{key: value for key, value in row.to_json().items() if key != "seconds"} for row in outcome.curve]
