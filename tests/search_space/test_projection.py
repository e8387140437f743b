"""Published networks as architectures, and projected onto spaces."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from search_space.cost import cost
from search_space.graph import Shape
from search_space.lowering import lower, normalise
from search_space.projection import project, searchable
from search_space.references import REFERENCES
from search_space.references.architectures import ARCHITECTURES
from search_space.space import Space, parse_space

CONF = Path(__file__).parents[2] / "conf" / "space"


def shipped(name: str, side: int, classes: int = 1000) -> Space:
    return parse_space(yaml.safe_load((CONF / f"{name}.yaml").read_text()), Shape(3, side, side), classes)


@pytest.mark.parametrize("name", ["googlenet", "googlenet_5x5", "bn_inception", "inception_v3", "inception_v4"])
def test_an_architecture_has_the_blocks_of_its_network(name: str) -> None:
    reference = REFERENCES[name]()
    architecture = ARCHITECTURES[name](reference.input, 1000)
    assert normalise(architecture) == architecture
    assert cost(lower(architecture)).params == cost(reference).params
    if reference.input.height == 224:  # where no border cuts anything off
        assert cost(lower(architecture)).macs == cost(reference).macs


def test_inception_resnet_lacks_only_its_last_convolution_and_linear_block() -> None:
    architecture = ARCHITECTURES["inception_resnet_v2"](Shape(3, 299, 299), 1000)
    assert [len(stage.blocks) for stage in architecture.stages] == [11, 20, 9]
    assert cost(lower(architecture)).params < cost(REFERENCES["inception_resnet_v2"]()).params


def test_googlenet_is_one_of_the_factorization_space() -> None:
    space = shipped("factorization", 224)
    found = project(space, ARCHITECTURES["googlenet_5x5"](space.input, 1000), 1.0)
    assert cost(lower(found.architecture)).params == cost(REFERENCES["googlenet_5x5"]()).params
    assert cost(lower(found.architecture)).macs == cost(REFERENCES["googlenet_5x5"]()).macs
    assert found.distance < 0.01


def test_inception_v3_is_one_of_the_v3_space() -> None:
    space = shipped("v3", 299)
    found = project(space, ARCHITECTURES["inception_v3"](space.input, 1000))
    assert found.multiplier == 1
    assert found.distance == 0
    assert cost(lower(found.architecture)).params == cost(REFERENCES["inception_v3"]()).params


@pytest.mark.parametrize("space_name", ["quick", "cifar", "imagenet"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_reference_lands_in_any_space(name: str, space_name: str) -> None:
    space = shipped(space_name, 64, 10)
    found = project(space, ARCHITECTURES[name](space.input, 10))
    assert space.contains(found.architecture)
    assert 0 < found.distance < 2.5
    assert 0 < found.multiplier <= 1


def test_a_small_space_takes_a_narrow_googlenet() -> None:
    space = shipped("quick", 32, 10)
    found = project(space, ARCHITECTURES["googlenet_5x5"](space.input, 10))
    assert found.multiplier < 0.2
    branches = {branch.name for branch in found.architecture.stages[0].blocks[0].branches}
    assert {"k1", "k3", "pool"} <= branches
    assert "k7" not in branches


def test_a_member_of_a_space_is_projected_onto_itself() -> None:
    for name in ("quick", "imagenet"):
        space = shipped(name, 64, 10)
        for seed in range(10):
            drawn = space.uniform(random.Random(seed))
            found = project(space, drawn, 1.0)
            assert found.architecture == drawn
            assert found.distance == 0


def test_the_blocks_of_v3_and_v4_have_near_branches() -> None:
    for architecture in (ARCHITECTURES[name](Shape(3, 64, 64), 10) for name in ("inception_v3", "inception_v4")):
        blocks = [searchable(block) for stage in architecture.stages for block in stage.blocks]
        assert all(block is not None and block.family == "inception" for block in blocks)
