"""Trainings on augmented images that grow: resumed bit for bit, and under the same recipe alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from engine import ONE

from nas.config.augmentation import AugmentationSpec
from nas.config.training import Recipe
from nas.data import DataSpec
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Epoch, Job, Outcome
from nas.training.checkpoint import load
from search_space.graph import Shape
from search_space.space import parse_space

DIGITS = DataSpec(train_fraction=0.15)
NAMES = ("rand_augment", "crop", "alternating_flip", "cutout", "mixup", "cutmix")
RECIPE = Recipe(
    epochs=4, batch_size=32, progressive_resize=0.5, augmentation=tuple(AugmentationSpec(name, name) for name in NAMES)
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@dataclass
class Watcher:
    """Control that stops after an epoch."""

    in_step = True

    stop_after: int = 99
    rows: list[Epoch] = field(default_factory=list)

    def epoch_done(self, row: Epoch) -> None:
        self.rows.append(row)

    def should_stop(self) -> bool:
        return self.rows[-1].epoch >= self.stop_after


def job(folder: Path, start: Outcome | None = None) -> Job:
    architecture = parse_space(ONE, Shape(1, 8, 8), 10).draw(random.Random(0)).to_json()
    if start is None:
        return Job(0, 1, architecture, 5, 0, RECIPE.epochs, folder)
    return Job(0, 2, architecture, 5, start.epoch, RECIPE.epochs, folder, start.checkpoint)


def scores(outcome: Outcome) -> list[Epoch]:
    assert outcome.failure is None, outcome.failure
    return [replace(row, seconds=0.0) for row in outcome.curve]


def weights(outcome: Outcome) -> dict[str, torch.Tensor]:
    assert outcome.checkpoint is not None
    return dict(load(outcome.checkpoint, {}).state.network)


@pytest.mark.parametrize("streaming", ["never", "always"])
def test_a_resumed_training_is_the_unbroken_one_bit_for_bit(streaming: str, tmp_path: Path) -> None:
    runner = TrialRunner(replace(DIGITS, streaming=streaming), RECIPE, 1, "cpu")
    whole = runner(job(tmp_path / "whole"), Watcher())
    assert len(scores(whole)) == RECIPE.epochs
    part = runner(job(tmp_path / "parts"), Watcher(stop_after=1))
    for stop in (3, 99):
        part = runner(job(tmp_path / "parts", part), Watcher(stop_after=stop))
    assert scores(part) == scores(whole)
    found, expected = weights(part), weights(whole)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_another_augmentation_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    started = TrialRunner(DIGITS, RECIPE, 1, "cpu")(job(tmp_path / "one"), Watcher(stop_after=1))
    for other in (replace(RECIPE, augmentation=RECIPE.augmentation[:-1]), replace(RECIPE, progressive_resize=None)):
        refused = TrialRunner(DIGITS, other, 1, "cpu")(job(tmp_path / "one", started), Watcher())
        assert refused.failure is not None
        assert "recipe differs" in refused.failure.message


def test_an_option_out_of_range_is_a_failure_that_ends_the_search(tmp_path: Path) -> None:
    wrong = replace(RECIPE, augmentation=(AugmentationSpec("cutout", "cutout", {"side": 7.0}),))
    outcome = TrialRunner(DIGITS, wrong, 1, "cpu")(job(tmp_path / "one"), Watcher())
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.curve) == ("data", ())
    assert outcome.failure.message.endswith("option side of cutout must lie in (0, 1], got 7")
