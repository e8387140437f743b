"""Trainings whose checkpoint can't be written: a full disk, or a read-only folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from nas.config.training import Recipe
from nas.jobs import Failure, Job, Outcome
from nas.training.checkpoint_folder import latest

RECIPE = Recipe(epochs=3, batch_size=8, learning_rate=0.05)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [("size=16k", "disk_full", "No space left on device"), ("size=16k,ro", "read_only", "Read-only file system")],
)
def test_a_checkpoint_that_cannot_be_written_fails_by_its_kind_and_leaves_none_half_written(
    mount: Callable[[str], Path],
    run_job: Callable[..., Outcome],
    make_job: Callable[..., Job],
    options: str,
    kind: str,
    words: str,
) -> None:
    folder = mount(options)
    wide = nn.Sequential(nn.Flatten(), nn.Linear(36, 256), nn.ReLU(), nn.Linear(256, 3))
    outcome = run_job(replace(make_job(0, 3), folder=folder / "trial"), RECIPE, wide)
    assert isinstance(outcome.failure, Failure)
    assert outcome.failure.kind == kind
    assert words in outcome.failure.message
    assert latest(folder / "trial") is None
    assert not (folder / "trial").exists() or not list((folder / "trial").iterdir())
