"""First epochs of a training in which the classifier alone is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from controls import Control
from torch import Tensor

from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job, Outcome
from nas.search.executors import allocation_of, pack_size
from nas.training.checkpoint import load
from nas.training.head import HeadStage
from nas.training.optimizer import make_optimizer
from nas.training.weights_file import located
from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.network import build

HEAD = "body.classifier."
BLOCK = Block("inception", (Branch("k1", 8), Branch("k3", 8)))
NETWORK = Architecture(Shape(1, 8, 8), 10, Stem(8), (Stage((BLOCK,)),), 0.2)


class Trainings:
    def __init__(self, root: Path) -> None:
        self.root = root
        recipe = Recipe(epochs=2, batch_size=64)
        self.runner = TrialRunner(DataSpec(cache=str(root / "cache")), recipe, threads=1, accelerator="cpu")
        self.first = self.run(recipe, "first", 0, 2)
        short = replace(recipe, epochs=3, head_epochs=2, weights=str(self.first.checkpoint), learning_rate=0.1)
        self.recipe = located(short)

    def run(self, recipe: Recipe, folder: str, start: int, end: int, checkpoint: Path | None = None) -> Outcome:
        job = Job(0, 1, NETWORK.to_json(), 1, start, end, self.root / folder, checkpoint)
        outcome = replace(self.runner, recipe=recipe)(job, Control())
        assert outcome.failure is None
        return outcome


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("head"))


def state_of(outcome: Outcome) -> dict[str, Tensor]:
    assert outcome.checkpoint is not None
    return load(outcome.checkpoint, {}).state.network


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw"}, {"decoupled_decay": True}, {"ema_decay": 0.9}])
def test_a_frozen_backbone_stays_bit_for_bit_with_its_statistics(
    trainings: Trainings, changes: dict[str, Any], tmp_path: Path
) -> None:
    before = state_of(trainings.first)
    frozen = state_of(trainings.run(replace(trainings.recipe, **changes), str(tmp_path), 0, 2))
    assert {name for name, tensor in frozen.items() if not torch.equal(tensor, before[name])} == {
        f"{HEAD}weight",
        f"{HEAD}bias",
    }


def test_afterwards_all_weights_and_statistics_follow_the_images(trainings: Trainings, tmp_path: Path) -> None:
    before, after = state_of(trainings.first), state_of(trainings.run(trainings.recipe, str(tmp_path), 0, 3))
    assert [name for name, tensor in after.items() if torch.equal(tensor, before[name])] == []


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw", "ema_decay": 0.9, "backbone_learning_rate": 0.3}])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_that_stops_in_or_after_the_stage_ends_as_an_unbroken_one(
    trainings: Trainings, changes: dict[str, Any], epoch: int, tmp_path: Path
) -> None:
    recipe = replace(trainings.recipe, **changes)
    whole = trainings.run(recipe, str(tmp_path / "whole"), 0, 3)
    part = trainings.run(recipe, str(tmp_path / "part"), 0, epoch)
    rest = trainings.run(recipe, str(tmp_path / "part"), epoch, 3, part.checkpoint)
    one, other = state_of(whole), state_of(rest)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_dropout_stays_on_and_auxiliary_classifiers_off() -> None:
    network = build(lower(NETWORK))
    stage = HeadStage(network, 1)
    assert stage.enter(0)
    on = [module for module in network.modules() if module.training]
    assert [type(module) for module in on] == [torch.nn.Dropout]
    assert not stage.enter(0)
    assert stage.enter(1)
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_backbone_has_a_learning_rate_of_its_own() -> None:
    network = build(lower(NETWORK))
    recipe = Recipe(learning_rate=0.2, backbone_learning_rate=0.25, norm_learning_rate=2.0)
    rates = {id(p): group["lr"] for group in make_optimizer(network, recipe).param_groups for p in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in network.named_parameters()}
    assert len(found) == len(rates)
    for name, rate in found.items():
        expected = 0.2 if name.startswith(HEAD) else 0.1 if name.endswith("norm.bias") else 0.05
        assert rate == pytest.approx(expected), name


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"head_epochs must be at most training.epochs, 3, got 4"):
        Recipe(epochs=3, head_epochs=4, weights="a.safetensors")
    with pytest.raises(ValueError, match=r"head_epochs must be 0 unless training.weights names a trained network"):
        located(Recipe(head_epochs=1))
    assert "head_epochs" not in Recipe().settings()
    assert Recipe.of(Recipe(head_epochs=1, weights="a", weights_sha256="b").settings()).head_epochs == 1


def test_frozen_trainings_are_neither_packed_nor_shared_by_devices() -> None:
    recipe = Recipe(head_epochs=1, weights="a")
    assert pack_size(recipe, WorkersSpec(pack=8))(NETWORK.to_json()) == 1
    with pytest.raises(ValueError, match=r"workers.devices_per_trial must be 1 with training.head_epochs"):
        allocation_of(recipe, WorkersSpec(devices_per_trial=2, slots=2))
