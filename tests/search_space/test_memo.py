"""Memoised identities and costs are those of the graph."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from search_space.cost import cost
from search_space.graph import Shape, ShapeError
from search_space.identity import canonical, network_id
from search_space.lowering import lower
from search_space.memo import Memo
from search_space.references.architectures import ARCHITECTURES
from search_space.space import Space, parse_space

CONF = Path(__file__).parents[2] / "conf" / "space"


def shipped(name: str) -> Space:
    return parse_space(yaml.safe_load((CONF / f"{name}.yaml").read_text()), Shape(3, 64, 64), 10)


@pytest.mark.parametrize("name", ["quick", "cifar", "v3", "imagenet", "factorization"])
@pytest.mark.parametrize("capacity", [7, 1000])
def test_what_is_remembered_is_what_is_computed(name: str, capacity: int) -> None:
    space, memo, generator = shipped(name), Memo(capacity), random.Random(0)
    architecture = space.uniform(generator)
    for _ in range(40):
        graph = lower(architecture)
        assert memo.examine(architecture) == (network_id(graph), cost(graph))
        architecture = space.mutate(architecture, generator)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_published_networks_are_measured_alike(name: str) -> None:
    architecture = ARCHITECTURES[name](Shape(3, 96, 96), 7)
    graph = lower(architecture)
    assert Memo().examine(architecture) == (network_id(graph), cost(graph))


def test_what_does_not_fit_is_refused_each_time() -> None:
    document = {"name": "deep", "stem": {"width": 2}, "stages": []}
    stage = {"depth": 1, "block": {"family": "v4a", "reduce": 1, "out": 1}, "reduction": "block"}
    document["stages"] = [stage | {"grid": {"family": "grid_next", "out": 2}}] * 3
    space, memo = parse_space(document, Shape(3, 4, 4), 3), Memo()
    for _ in range(2):
        with pytest.raises(ShapeError):
            memo.examine(space.draw(random.Random(0)))


def test_a_capacity_is_positive() -> None:
    with pytest.raises(ValueError, match="capacity must be >= 1, got 0"):
        Memo(0)


@pytest.mark.slow
def test_100000_samples_share_an_identity_only_for_one_network() -> None:
    document = yaml.safe_load((CONF / "quick.yaml").read_text())
    document["stages"] = [document["stages"][0] | {"depth": 1}]
    space, memo, generator = parse_space(document, Shape(3, 16, 16), 10), Memo(), random.Random(0)
    texts: dict[str, str] = {}
    for _ in range(100_000):
        architecture = space.draw(generator)
        name, _ = memo.examine(architecture)
        text = canonical(lower(architecture))
        assert texts.setdefault(name, text) == text
    assert len(texts) > 50_000
