from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.blocks import families
from search_space.choices import SpaceError
from search_space.differences import Change, apply, changes_between, choices_of, differences
from search_space.drawing import draw
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.space import Space, parse_space

CONF = Path(__file__).parents[2] / "conf" / "space"
SPACES = ("quick", "cifar", "v3", "factorization", "imagenet")
SEEDS = range(20)


def space_of(name: str) -> Space:
    mapping: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    return parse_space(mapping, Shape(3, 96, 96), 10)


@pytest.fixture(scope="module", params=SPACES)
def space(request: pytest.FixtureRequest) -> Space:
    return space_of(request.param)


def network(*branches: Branch, **settings: Any) -> Architecture:
    stage = Stage((Block("inception", branches),), "max")
    return Architecture(Shape(1, 8, 8), 10, Stem(8), (stage,), **settings)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_architecture_does_not_differ_from_itself(space: Space, seed: int) -> None:
    architecture = space.draw(random.Random(seed))
    assert differences(architecture, Architecture.from_json(architecture.to_json())) == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_changes_of_one_architecture_make_the_other(space: Space, seed: int) -> None:
    generator = random.Random(seed)
    before, after = space.draw(generator), space.draw(generator)
    changes = differences(before, after)
    assert bool(changes) == (before.id != after.id)
    assert apply(changes, choices_of(before)) == choices_of(after)
    assert apply(differences(after, before), choices_of(after)) == choices_of(before)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mutation_of_one_choice_is_named_and_nothing_else(space: Space, seed: int) -> None:
    """A choice that switches parts on and off names these too, and no other."""
    generator = random.Random(seed)
    before = space.draw(generator)
    after = space.mutate(before, generator)
    old, new = space.assignments(before), space.assignments(after)
    (mutated,) = (path for path in old if path in new and new[path] != old[path])
    if sum(len(stage.blocks) for stage in before.stages) != sum(len(stage.blocks) for stage in after.stages):
        return  # an emptied block is dropped, and those behind it move
    part = mutated.rpartition(".")[0]
    for change in differences(before, after):
        inside = change.path == part or change.path.startswith(f"{part}.")
        switched = inside and (change.kind != "changed" or mutated.endswith(".family"))
        grouped = change.path == f"{part}.groups" and mutated.endswith(".factorization")  # a separable branch has none
        assert _plain(mutated) == change.path or switched or grouped, (change, mutated)


def _plain(path: str) -> str:
    """Return a path without the family in front of the settings of a block, as a space of several families has it."""
    steps = path.split(".")
    return ".".join(step for index, step in enumerate(steps) if index != 2 or len(steps) == 3 or step not in families())


def test_words_name_branch_and_values() -> None:
    before = network(Branch("k3", 8), Branch("k5", 8, 0.5, "stacked"), Branch("pool", 4, pool="max"))
    after = network(Branch("k1", 4), Branch("k3", 16, 1.0), Branch("k5", 8, 0.5, "separable"), dropout=0.25)
    assert [change.text() for change in differences(before, after)] == [
        "stage0.block0.k3.width: 8 → 16",
        "stage0.block0.k3.reduction: none → 1",
        "stage0.block0.k5: stacked → separable",
        "stage0.block0.pool: width 4, pool max → absent",
        "stage0.block0.k1: absent → width 4",
        "dropout: 0 → 0.25",
    ]


def test_a_whole_block_is_one_change() -> None:
    block = Block("inception", (Branch("k3", 8), Branch("pool", 4, pool="avg")))
    stem = Stem(8)
    one = Architecture(Shape(1, 8, 8), 10, stem, (Stage((block,)),))
    two = Architecture(Shape(1, 8, 8), 10, stem, (Stage((block, block)),))
    assert [c.text() for c in differences(one, two)] == [
        "stage0.depth: 1 → 2",
        "stage0.block1: absent → inception (k3, pool)",
    ]
    added = differences(one, two)[1].to_json()
    assert added["before"] is None
    assert added["after"]["pool.pool"] == "avg"


def test_a_block_of_another_family_is_one_change() -> None:
    before = {"b.family": "inception", "b.pool.width": 8, "b.pool.pool": "max"}
    after = {"b.family": "v4b", "b.pool": 64}
    (change,) = changes_between(before, after)
    assert change.text() == "b: inception (pool) → v4b (pool 64)"
    assert apply([change], before) == after
    assert apply(changes_between(after, before), after) == before


def test_a_setting_and_a_branch_of_one_name_are_told_apart() -> None:
    before, after = {"b.pool.width": 8, "b.pool.pool": "max"}, {"b.pool": 64}
    assert apply(changes_between(before, after), before) == after
    assert apply(changes_between(after, before), after) == before


def test_choices_are_those_of_the_normal_form() -> None:
    plain = network(Branch("k3", 8))
    written = network(Branch("k3", 8, factorization="stacked"), Branch("k7", 0))
    assert choices_of(plain) == choices_of(written)
    assert differences(plain, written) == ()


def test_a_change_from_another_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must start from 3, got 1 at stem\.kernel"):
        apply([Change("stem.kernel", 3, 5)], {"stem.kernel": 1})


def test_an_unknown_family_is_refused() -> None:
    strange = Architecture(Shape(1, 8, 8), 10, Stem(8), (Stage((Block("strange"),)),))
    with pytest.raises(SpaceError, match="a block family must be one of"):
        choices_of(strange)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_changed_choice_stands_at_a_part_of_the_drawing(space: Space, seed: int) -> None:
    generator = random.Random(seed)
    architecture = space.draw(generator)
    root = ElementTree.fromstring(draw(lower(architecture)))
    drawn = [element.get("data-path") for element in root.iter() if element.get("data-path")]
    assert len(drawn) == len(set(drawn)), "each part is drawn once"
    blocks_and_stem = (path for path in choices_of(architecture) if path.startswith("stem") or path.count(".") > 1)
    for path in blocks_and_stem:
        steps = Change(path, None, None).place.split(".")
        assert any(".".join(steps[:count]) in drawn for count in range(2 if len(steps) > 2 else 1, len(steps) + 1)), (
            path
        )
