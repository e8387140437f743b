"""Training of a pruned network, whose zeros stay."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from controls import Control
from safetensors.torch import save_file
from torch import Tensor

from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job
from nas.training.checkpoint import load
from nas.training.starting_weights import weights_of
from nas.training.weights_file import located
from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Shape
from search_space.pruned_weights import magnitude_pruned, prunable, zero_share

BLOCK = Block("inception", (Branch("k1", 8), Branch("k3", 8)))
NETWORK = Architecture(Shape(1, 8, 8), 10, Stem(8), (Stage((BLOCK,)),)).to_json()


class Trainings:
    """Trainings of one network on the digits; each ends with a state dict."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runner = TrialRunner(DataSpec(cache=str(root / "cache")), Recipe(), threads=1, accelerator="cpu")

    def __call__(self, recipe: Recipe, name: str, first: int, last: int, start: Path | None = None) -> Path:
        job = Job(0, 1, NETWORK, 1, first, last, self.root / name, start)
        outcome = replace(self.runner, recipe=recipe)(job, Control())
        assert outcome.failure is None
        assert outcome.checkpoint is not None
        return outcome.checkpoint


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("zeros"))


@pytest.fixture(scope="module")
def pruned(train: Trainings) -> tuple[dict[str, Tensor], Path]:
    """Return weights without 70 % of a trained network's, and a checkpoint of them."""
    trained = load(train(Recipe(epochs=1), "first", 0, 1), {}).state.network
    state = {name: tensor.contiguous() for name, tensor in magnitude_pruned(trained, 0.7).items()}
    path = train.root / "pruned.safetensors"
    save_file(state, path, {"architecture": json.dumps(NETWORK), "classes": json.dumps([str(n) for n in range(10)])})
    return state, path


def weights(checkpoint: Path, *, averaged: bool = False) -> dict[str, Tensor]:
    state = load(checkpoint, {}).state
    found = state.average if averaged else state.network
    assert found is not None
    return found


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "adamw"}, {"decoupled_decay": True}, {"ema_decay": 0.9}, {"gradient_clip": 1.0}]
)
def test_zeros_stay_and_all_else_is_trained(
    train: Trainings, pruned: tuple[dict[str, Tensor], Path], changes: dict[str, Any], tmp_path: Path
) -> None:
    before, path = pruned
    recipe = located(Recipe(epochs=2, learning_rate=0.05, weights=str(path), keep_zeros=True, **changes))
    assert weights_of(recipe).classes == tuple(str(n) for n in range(10))
    checkpoint = train(recipe, str(tmp_path), 0, 2)
    for averaged in (False, True) if "ema_decay" in changes else (False,):
        after = weights(checkpoint, averaged=averaged)
        assert zero_share(after) == zero_share(before)
        for name in prunable(before):
            assert torch.equal(after[name] == 0, before[name] == 0)
            assert not torch.equal(after[name], before[name])


def test_without_the_setting_zeros_grow_again(
    train: Trainings, pruned: tuple[dict[str, Tensor], Path], tmp_path: Path
) -> None:
    recipe = located(Recipe(epochs=1, learning_rate=0.05, weights=str(pruned[1])))
    assert zero_share(weights(train(recipe, str(tmp_path), 0, 1))) < 0.1


def test_a_resumed_training_ends_as_an_unbroken_one(
    train: Trainings, pruned: tuple[dict[str, Tensor], Path], tmp_path: Path
) -> None:
    recipe = located(Recipe(epochs=3, learning_rate=0.05, weights=str(pruned[1]), keep_zeros=True))
    whole = weights(train(recipe, str(tmp_path / "whole"), 0, 3))
    part = train(recipe, str(tmp_path / "parts"), 0, 1)
    parts = weights(train(recipe, str(tmp_path / "parts"), 1, 3, part))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_recipes_of_before_have_no_such_setting() -> None:
    assert "keep_zeros" not in Recipe().settings()
    assert Recipe(keep_zeros=True).settings()["keep_zeros"] is True
