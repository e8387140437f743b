from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from controls import Control
from safetensors.torch import save_file
from torch import Tensor

from nas.config.training import Recipe
from nas.data import DataSpec
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job, Outcome
from nas.training.starting_weights import start_from, weights_of
from nas.training.weights_error import StartingWeightsError
from nas.training.weights_file import located
from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Graph, Shape
from search_space.lowering import lower
from search_space.network import build

DIGITS = tuple("0123456789")


def network(width: int = 8, classes: int = 10) -> Architecture:
    block = Block("inception", (Branch("k1", width), Branch("k3", 8)))
    return Architecture(Shape(1, 8, 8), classes, Stem(8), (Stage((block,)),), 0.0)


def state_of(graph: Graph, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return build(graph).state_dict()


def export(path: Path, architecture: Architecture, classes: tuple[str, ...] = DIGITS, **changes: Tensor) -> Recipe:
    state = {**state_of(lower(architecture)), **changes}
    described = {"architecture": json.dumps(architecture.to_json()), "classes": json.dumps(classes)}
    save_file(state, path, {"format": "pt", **described})
    return Recipe(weights=str(path))


def test_a_located_recipe_names_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path / "a.safetensors", network())
    monkeypatch.chdir(tmp_path)
    found = located(Recipe(weights="a.safetensors"))
    assert found.weights == str(tmp_path / "a.safetensors")
    assert located(found) == found
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    moved = located(Recipe(weights="b.safetensors"))
    assert moved.settings() == found.settings() != Recipe().settings()
    export(tmp_path / "b.safetensors", network(), **{"body.classifier.bias": torch.ones(10)})
    assert located(Recipe(weights="b.safetensors")).weights_sha256 != found.weights_sha256
    with pytest.raises(StartingWeightsError, match=f"must have the SHA-256 {found.weights_sha256}, got "):
        located(moved)


def test_a_recipe_without_weights_is_as_it_was() -> None:
    assert located(Recipe()) == Recipe()
    with pytest.raises(StartingWeightsError, match="must name the file whose SHA-256 is abc, got none"):
        located(Recipe(weights_sha256="abc"))


def test_the_same_network_and_classes_start_as_they_were(tmp_path: Path) -> None:
    weights = weights_of(export(tmp_path / "a.safetensors", network()))
    found = start_from(weights, lower(network()), state_of(lower(network()), 1), DIGITS)
    assert found.share == 1.0
    assert all(torch.equal(tensor, weights.state[name]) for name, tensor in found.state.items())


@pytest.mark.parametrize("classes", [DIGITS[::-1], ("cat", "dog", "cow")])
def test_other_classes_get_a_fresh_classifier(tmp_path: Path, classes: tuple[str, ...]) -> None:
    weights = weights_of(export(tmp_path / "a.safetensors", network()))
    graph = lower(network(classes=len(classes)))
    fresh = state_of(graph, 1)
    found = start_from(weights, graph, fresh, classes)
    head = {name for name in fresh if name.startswith("body.classifier.")}
    assert len(head) == 2
    for name, tensor in found.state.items():
        assert torch.equal(tensor, fresh[name] if name in head else weights.state[name]), name
    parameters = sum(p.numel() for p in build(graph).parameters())
    assert found.share == pytest.approx(1 - sum(fresh[name].numel() for name in head) / parameters)


def test_a_wider_network_continues_the_narrow_one(tmp_path: Path) -> None:
    weights = weights_of(export(tmp_path / "a.safetensors", network()))
    graph = lower(network(width=12))
    found = start_from(weights, graph, state_of(graph, 1), DIGITS)
    assert 0.5 < found.share < 1
    one, other = build(weights.graph).eval(), build(graph).eval()
    one.load_state_dict(dict(weights.state))
    other.load_state_dict(found.state)
    images = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(one(images), other(images))


@pytest.mark.parametrize(
    ("damage", "law"),
    [
        ({"body.classifier.bias": torch.ones(9)}, "its tensors are not those of its network at body.classifier.bias"),
        ({"body.extra": torch.ones(9)}, "its tensors are not those of its network at body.extra"),
        ({"body.classifier.bias": torch.full((10,), torch.nan)}, "its values must be finite, they are not at body.cl"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, damage: dict[str, Tensor], law: str) -> None:
    with pytest.raises(StartingWeightsError, match=law):
        located(export(tmp_path / "a.safetensors", network(), **damage))


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "a.pt").write_bytes(b"nothing of the kind")
    save_file({"conv.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    for name, law in (
        ("a.safetensors", "published checkpoint, got"),
        ("a.pt", "published checkpoint, got"),
        ("a.onnx", r"must be a readable file, got .*a\.onnx: No such file"),
        ("other.safetensors", "names of googlenet, inception_v3, inception_v4, inception_resnet_v2, got conv.weight"),
    ):
        with pytest.raises(StartingWeightsError, match=law) as refused:
            located(Recipe(weights=str(tmp_path / name)))
        assert "\n" not in str(refused.value)


def test_weights_start_a_training_that_is_better_after_two_epochs(tmp_path: Path) -> None:
    runner = TrialRunner(
        DataSpec(cache=str(tmp_path / "cache")), Recipe(epochs=6, batch_size=64), threads=1, accelerator="cpu"
    )

    def trained(recipe: Recipe, folder: str, seed: int) -> Outcome:
        job = Job(0, 1, network(width=16).to_json(), seed, 0, recipe.epochs, tmp_path / folder)
        outcome = replace(runner, recipe=recipe)(job, Control())
        assert outcome.failure is None
        return outcome

    first = trained(runner.recipe, "first", 0)
    assert first.checkpoint is not None
    short = replace(runner.recipe, epochs=2, learning_rate=0.05)
    fine = trained(located(replace(short, weights=str(first.checkpoint))), "fine", 1)
    fresh = [trained(replace(short, learning_rate=rate), f"fresh{rate}", 1) for rate in (0.05, 0.3)]
    assert fine.curve[-1].val_loss < min(one.curve[-1].val_loss for one in fresh) - 0.3
    assert fine.curve[-1].val_accuracy > max(one.curve[-1].val_accuracy for one in fresh) + 0.05


def test_a_file_that_changes_after_the_start_stops_the_training(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    recipe = replace(located(export(path, network())), epochs=1)
    export(path, network(), **{"body.classifier.bias": torch.ones(10)})
    runner = TrialRunner(DataSpec(cache=str(tmp_path / "cache")), recipe, threads=1, accelerator="cpu")
    outcome = runner(Job(0, 1, network().to_json(), 0, 0, 1, tmp_path / "folder"), Control())
    assert outcome.failure is not None
    assert outcome.failure.kind == "data"
    assert "must have the SHA-256" in outcome.failure.message
