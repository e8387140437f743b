"""Networks evaluated with folded batch norms, against themselves in evaluation mode."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from nas.config.training import Recipe
from nas.jobs import Job, Outcome
from nas.training import module
from nas.training.folded import FoldedNetwork
from nas.training.max_pooling import SeparableMaxPool
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.network import build
from search_space.packable import is_packable
from search_space.packing import PackedNetwork, pack_images
from search_space.references import REFERENCES
from search_space.space import parse_space

CONF = Path(__file__).parents[3] / "conf" / "space"
SPACES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
SIDES = {"inception_v3": 75, "inception_v4": 75, "inception_resnet_v2": 75}


@torch.no_grad()
def stir(network: nn.Module) -> None:
    """Give each batch norm other weights and statistics, as a training does."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.3)
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 1.5)


@torch.no_grad()
def check(network: nn.Module, images: Tensor) -> int:
    """Compare logits before and after a change of the weights, and return the number of folded norms."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images.contiguous(memory_format=torch.channels_last)
    stir(network)
    folded = FoldedNetwork(network)
    for _ in range(2):
        network.eval()
        expected = network(images)
        network.train()
        torch.testing.assert_close(folded(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        stir(network)
        for parameter in network.parameters():
            parameter.mul_(0.9)
        folded.refresh()
    return folded.count


def norms_after_convolutions(network: nn.Module) -> int:
    return sum(
        (before, after) == ("conv", "norm") and isinstance(norm, nn.BatchNorm2d)
        for unit in network.modules()
        for (before, _), (after, norm) in pairwise(unit.named_children())
    )


@pytest.mark.few(4)
@pytest.mark.parametrize("name", SPACES)
def test_networks_of_a_space_are_folded(name: str) -> None:
    torch.manual_seed(0)
    side = 75 if name in ("v3", "imagenet") else 16
    shape = Shape(1 if name == "tabulated_digits" else 3, side, side)
    space = parse_space(SPACES[name], shape, 10)
    for seed in range(1 if side > 16 else 3):
        graph = lower(space.draw(random.Random(seed)))
        network = build(graph)
        assert check(network, torch.randn(2, *shape)) == norms_after_convolutions(network)
        if is_packable(graph):
            images = [torch.randn(2, *shape) for _ in range(2)]
            check(PackedNetwork([build(graph), build(graph)]), pack_images(images))


@pytest.mark.few(5)
@pytest.mark.parametrize("name", REFERENCES)
def test_published_networks_are_folded(name: str) -> None:
    torch.manual_seed(0)
    network = build(REFERENCES[name]())
    side = SIDES.get(name, 32)
    count = check(network, torch.randn(2, 3, side, side))
    assert count == norms_after_convolutions(network)


def test_only_what_stays_the_same_function_is_folded() -> None:
    class Doubled(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * Tensor(super().forward(x))

    plain = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3), nn.ReLU(), nn.BatchNorm2d(3))
    assert check(plain, torch.randn(4, 2, 5, 5)) == 1
    assert check(nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3)), torch.randn(4, 2, 5, 5)) == 0
    assert check(Doubled(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)), torch.randn(4, 2, 5, 5)) == 0
    assert FoldedNetwork(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, affine=False))).count == 0
    assert FoldedNetwork(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))).count == 0


@pytest.mark.parametrize("side", [5, 8])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(3, 1, 1), (5, 1, 2), (3, 2, 1), (3, 2, 0), (2, 2, 0), (2, 1, 1), (3, 3, 1), ((3, 1), (1, 2), (1, 0)), (1, 1, 0)],
)
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_max_pooling_by_rows_and_columns_is_that_of_torch(
    side: int, kernel: Any, stride: Any, padding: Any, memory_format: torch.memory_format
) -> None:
    pool = nn.MaxPool2d(kernel, stride, padding)
    assert SeparableMaxPool.can_replace(pool)
    images = torch.randn(3, 4, side, side + 2).contiguous(memory_format=memory_format)
    images[0, 0, 0, 0], images[1, 1, 2, 2] = math.nan, -math.inf
    before = images.clone()
    torch.testing.assert_close(SeparableMaxPool(pool)(images), pool(images), rtol=0, atol=0, equal_nan=True)
    assert torch.equal(images.nan_to_num(), before.nan_to_num())
    for other in (nn.MaxPool2d(3, dilation=2), nn.MaxPool2d(3, ceil_mode=True), nn.MaxPool2d(3, return_indices=True)):
        assert not SeparableMaxPool.can_replace(other)


def test_a_folded_network_adds_nothing_to_its_network_and_changes_nothing() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = FoldedNetwork(network)
    folded(torch.randn(8, 2, 5, 5))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert len(list(network.parameters())) == 6
    with torch.inference_mode():
        folded.refresh()
    folded.refresh()


@pytest.mark.parametrize("ema_decay", [None, 0.8])
def test_a_training_scores_what_it_scores_unfolded(
    run_job: Callable[..., Outcome],
    make_job: Callable[..., Job],
    monkeypatch: pytest.MonkeyPatch,
    ema_decay: float | None,
) -> None:
    class Unfolded:
        def __init__(self, network: nn.Module) -> None:
            self.network = network

        def refresh(self) -> None:
            assert not self.network.training or ema_decay is not None

        def __call__(self, images: Tensor) -> Any:
            return self.network.eval()(images)

    recipe = Recipe(epochs=5, batch_size=8, ema_decay=ema_decay)
    folded = run_job(make_job(0, 5, folder="folded"), recipe)
    monkeypatch.setattr(module, "FoldedNetwork", Unfolded)
    plain = run_job(make_job(0, 5, folder="plain"), recipe)
    assert folded.failure is None
    for ours, theirs in zip(folded.curve, plain.curve, strict=True):
        assert ours.train_loss == theirs.train_loss
        assert ours.val_loss == pytest.approx(theirs.val_loss, rel=1e-5)
        assert ours.val_accuracy == theirs.val_accuracy
