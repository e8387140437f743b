"""Block families: the whole catalogue, every choice of each, and the spaces that offer them."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from search_space.architecture import Architecture, Stage
from search_space.blocks import families
from search_space.choices import Chooser, SpaceError, Value
from search_space.cost import cost
from search_space.graph import Graph, Shape
from search_space.identity import network_id
from search_space.lowering import lower, normalise, summary
from search_space.network import build
from search_space.projection import searchable
from search_space.references import REFERENCES
from search_space.space import Space, parse_space

CONF = Path(__file__).parents[2] / "conf" / "space"
INPUT = Shape(3, 16, 16)

# every field of every family, with each of its words and two of its numbers
CATALOGUE: dict[str, dict[str, Any]] = {
    "inception": {
        "branches": {
            "k1": {"width": [0, 4]},
            "k3": {"width": [0, 4], "reduction": ["none", 0.5], "factorization": ["full", "separable"]},
            "k5": {"width": [0, 4], "factorization": ["full", "stacked", "asymmetric", "separable"], "groups": [1, 2]},
            "k7": {"width": 4, "reduction": 0.5, "factorization": ["full", "stacked", "asymmetric"], "groups": [2, 3]},
            "pool": {"width": [0, 3], "pool": ["max", "avg"]},
        }
    },
    "naive": {"k1": [2, 3], "k3": [2, 4], "k5": [1, 2]},
    "v1": {"k1": [2, 3], "k3_reduce": 2, "k3": 4, "k5_reduce": 1, "k5": 2, "pool": [1, 2], "side": [5, 3]},
    "v3a": {
        "k1": [0, 2],
        "single_reduce": 2,
        "single": 3,
        "double_reduce": [1, 2],
        "double": 4,
        "pool": 1,
        "side": [3, 5],
        "pool_kind": ["avg", "max"],
    },
    "v3b": {"k1": [2, 3], "reduce": [1, 2], "middle": 3, "out": 4, "pool": [1, 2], "side": [7, 5, 3]},
    "v3c": {"k1": [2, 3], "single_reduce": [1, 2], "double_reduce": 2, "fork": [2, 3], "pool": 1},
    "v4a": {"reduce": [1, 2], "out": [2, 3]},
    "v4b": {"k1": [2, 3], "reduce": [1, 2], "middle": 3, "out": 4, "pool": [1, 2]},
    "v4c": {"out": [1, 2], "reduce": [2, 3], "column": 2, "row": [2, 4]},
    "resnet_a": {"k1": [2, 3], "single": 2, "middle": 3, "double": [2, 4], "scale": [0.1, 0.17, 1.0]},
    "resnet_b": {"k1": [2, 3], "reduce": 2, "middle": [2, 3], "out": 4, "scale": [0.1, 0.5]},
    "resnet_c": {"k1": [2, 3], "reduce": 2, "middle": [2, 3], "out": 4, "scale": [0.2, 0.5]},
    "next": {
        "ratio": [0.125, 0.25, 1.0],
        "band": [11, 9, 7, 5, 3],
        "square": [3, 5],
        "expansion": [2, 4],
        "scale": 0.1,
    },
    "time": {
        "out": [2, 3],
        "bottleneck": [0, 2],
        "longest": [39, 19, 9],
        "form": ["full", "separable"],
        "shortcut": ["none", "projected"],
    },
    "xception": {"out": [6, 8], "repeats": [1, 3]},
    "grid_a": {"k3": [2, 3], "double_reduce": 2, "middle": [2, 3], "double": 4, "k3_reduce": [0, 2]},
    "grid_b": {"k3_reduce": [1, 2], "k3": 3, "k7_reduce": [2, 3], "k7": 4},
    "grid_resnet": {"reduce": [2, 3], "first": 3, "second": [2, 4], "double": 5},
    "grid_next": {"out": [4, 8]},
    "grid_xception": {"out": [6, 8], "middle": ["out", "in"], "first": ["relu", "none"]},
}


class Counting:
    """Chooser that enumerates every combination of choices, one a round."""

    def __init__(self) -> None:
        self.digits: list[list[int]] = []
        self.place = 0

    def pick(self, options: tuple[Any, ...]) -> Any:
        if self.place == len(self.digits):
            self.digits.append([0, len(options)])
        self.place += 1
        return options[self.digits[self.place - 1][0]]

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        return int(self.pick(options))

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        value: Value = self.pick(options)
        return value

    def next_round(self) -> bool:
        del self.digits[self.place :]
        self.place = 0
        while self.digits:
            self.digits[-1][0] += 1
            if self.digits[-1][0] < self.digits[-1][1]:
                return True
            self.digits.pop()
        return False


def enumerate_space(space: Space) -> list[Architecture]:
    """Return every different architecture of a space."""
    counting = Counting()
    chooser: Chooser = counting
    found = {}
    for _ in itertools.count():
        architecture = space.sample(chooser)
        found[architecture.id] = architecture
        if not counting.next_round():
            return list(found.values())
    raise AssertionError


def space_of(name: str, **more: Any) -> Space:
    """Return a space of one block of a family."""
    block = {"family": name, **CATALOGUE[name]}
    stage: dict[str, Any] = {"depth": 1, "block": block}
    if families()[name].reduces:
        stage = {"depth": 1, "reduction": "block", "grid": block, "block": {"family": "v4a", "reduce": 2, "out": 2}}
    return parse_space({"name": name, "stem": {"width": 6}, "stages": [stage], **more}, INPUT, 3)


def logits_of(graph: Graph, memory_format: torch.memory_format = torch.contiguous_format) -> tuple[Tensor, Tensor]:
    """Return logits in training mode, and a scalar that depends on every parameter."""
    torch.manual_seed(0)
    network = build(graph).train().to(memory_format=memory_format)
    images = torch.randn(2, *graph.input).to(memory_format=memory_format)  # (N, C, H, W)
    outputs = network(images)
    logits, taps = (outputs, []) if isinstance(outputs, Tensor) else outputs
    loss = logits.square().sum() + sum(weight * tap.square().sum() for tap, weight in taps)
    loss.backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    whole = cost(graph, training=True)
    assert sum(parameter.numel() for parameter in network.parameters()) == whole.params
    return logits.detach(), loss.detach()


def check_architecture(architecture: Architecture, space: Space) -> None:
    graph = lower(architecture)
    assert space.contains(architecture)
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert (again, again.id) == (architecture, architecture.id)
    assert network_id(lower(again)) == network_id(graph)
    assert normalise(architecture) == architecture
    assert graph.output == Shape(architecture.classes, 1, 1)
    assert summary(architecture)


def test_the_catalogue_is_whole() -> None:
    assert set(CATALOGUE) == set(families())


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_choice_of_a_family_is_counted_once_and_builds(name: str) -> None:
    space = space_of(name)
    everything = enumerate_space(space)
    assert len(everything) == space.size
    for architecture in everything[:: max(1, len(everything) // 300)]:
        check_architecture(architecture, space)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_family_trains_in_both_memory_formats(name: str) -> None:
    generator = random.Random(0)
    space = space_of(name)
    for _ in range(3):
        graph = lower(space.uniform(generator))
        first, second = logits_of(graph), logits_of(graph, torch.channels_last)
        assert first[0].shape == (2, 3)
        assert torch.allclose(first[0], second[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CATALOGUE)
def test_uniform_draws_every_architecture_alike(name: str) -> None:
    space = space_of(name)
    generator = random.Random(1)
    few = min(space.size, 24)
    drawn = Counter(space.uniform(generator).id for _ in range(40 * few))
    known = {architecture.id for architecture in enumerate_space(space)}
    assert set(drawn) <= known
    if space.size <= few:  # 40 expected each; a fair draw leaves 10 to 90 with overwhelming odds
        assert set(drawn) == known
        assert min(drawn.values()) > 10
        assert max(drawn.values()) < 90


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_plain_block_of_images_has_near_branches_and_any_other_has_none(name: str) -> None:
    stage = space_of(name).draw(random.Random(0)).stages[0]
    near = searchable(stage.grid or stage.blocks[0])
    assert (near is None) == name.startswith(("resnet", "grid", "next", "xception", "time"))
    assert near is None or normalise(replace(space_of(name).draw(random.Random(0)), stages=(Stage((near,)),)))


STAGED: dict[str, Any] = {
    "name": "staged",
    "stem": {"width": [2, 3], "kernel": [3, 5], "kind": ["conv", "v1", "v3", "v4"]},
    "stages": [
        {"depth": [1, 2], "block": [{"family": "v4a", "reduce": 1, "out": [1, 2]}, {"family": "xception", "out": 2}]},
        {
            "blocks": [{"family": "naive", "k1": 1, "k3": [1, 2], "k5": 1}, {"family": "v4a", "reduce": 1, "out": 2}],
            "reduction": ["none", "max", "block"],
            "grid": [{"family": "grid_next", "out": [3, 4]}, {"family": "grid_xception", "out": 3}],
            "auxiliary": ["none", "v1", "v3"],
        },
    ],
}


def test_stems_grids_alternatives_places_and_auxiliaries_are_counted_once() -> None:
    space = parse_space(STAGED, Shape(3, 32, 32), 3)
    # (conv 2 kernels + 3 published) × 2 widths; 3 blocks, alone or in pairs; none, max or 3 grids; 2 blocks; 3 heads
    assert space.size == 10 * (3 + 9) * 5 * 2 * 3
    everything = enumerate_space(space)
    assert len(everything) == space.size
    for architecture in everything[::37]:
        check_architecture(architecture, space)
    generator = random.Random(0)
    for _ in range(30):
        drawn = space.uniform(generator)
        check_architecture(drawn, space)
        assert space.contains(space.mutate(drawn, generator))


def test_auxiliary_heads_train_and_are_gone_from_inference() -> None:
    space = parse_space(STAGED, Shape(3, 32, 32), 3)
    tapped = next(a for a in enumerate_space(space) if a.stages[1].auxiliary == "v3")
    graph = lower(tapped)
    bare = lower(
        Architecture.from_json(
            {**tapped.to_json(), "stages": [s.to_json() | {"auxiliary": "none"} for s in tapped.stages]}
        )
    )
    assert cost(graph) == cost(bare) == cost(bare, training=True)
    assert cost(graph, training=True).params > cost(bare).params
    logits_of(graph)


def test_neighbours_differ_in_one_choice() -> None:
    space = parse_space(STAGED, Shape(3, 32, 32), 3)
    start = space.uniform(random.Random(3))
    near = space.neighbours(start)
    assert start not in near
    assert len({a.id for a in near}) == len(near) >= 8
    chosen = space.assignments(start)
    for architecture in near:
        assert space.contains(architecture)
        changed = [p for p, v in space.assignments(architecture).items() if p in chosen and chosen[p] != v]
        assert len(changed) == 1


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"depth": 1, "block": {"family": "v9"}}, r"a block family must be one of .* at stage0\.block\.family"),
        ({"depth": 1, "block": {"family": "grid_a"}}, r"a family must not halve .* got 'grid_a' at stage0"),
        ({"depth": 1, "block": {"family": "v4a", "reduce": 1}}, r"stage0\.block must have \['reduce', 'out'\]"),
        (
            {"depth": 1, "block": {"family": "v4a", "reduce": 0, "out": 1}},
            r"integers >= 1, got \[0\] at stage0\.block\.reduce",
        ),
        ({"depth": 1, "block": {"family": "v3b", "side": 9}}, r"must have \['k1'"),
        ({"depth": 1, "block": [{"family": "v4a", "reduce": 1, "out": 1}]}, r"of two or more different families"),
        ({"blocks": [{"family": "v4a", "reduce": 1, "out": 1}]}, r"blocks must be a list of at least two"),
        ({"blocks": [{"branches": {"k1": {"width": [0, 1]}}}] * 2}, r"always there, at stage0\.block0"),
        (
            {"depth": 1, "block": {"family": "xception", "out": 2}, "reduction": "block"},
            r"a grid exactly where 'block'",
        ),
        ({"depth": 1, "block": {"family": "xception", "out": 2}, "auxiliary": "v2"}, r"got 'v2' at stage0\.auxiliary"),
    ],
)
def test_a_bad_stage_is_refused_with_its_place(stage: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        parse_space({"name": "bad", "stem": {"width": 2}, "stages": [stage]}, INPUT, 3)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"family": "v4a", "settings": {"reduce": 1}}, r"it needs \['out', 'reduce'\]; got \['reduce'\]"),
        (
            {"family": "v4a", "settings": {"reduce": 1, "out": 0}},
            r"a width or count must be an integer >= 1, got 0 at v4a\.out",
        ),
        (
            {"family": "v3b", "settings": {"k1": 1, "reduce": 1, "middle": 1, "out": 1, "pool": 1, "side": 4}},
            r"got 4 at v3b\.side",
        ),
        ({"family": "next", "settings": {"ratio": "2"}}, r"a ratio must lie in \(0, 1\], got '2' at next\.ratio"),
        ({"family": "next", "settings": {"ratio": 2}}, r"a ratio must lie in \(0, 1\], got 2\.0 at next\.ratio"),
        ({"family": "v4a", "branches": [{"name": "k1", "width": 1}]}, r"a block of v4a has no branches"),
    ],
)
def test_a_bad_block_is_refused(block: dict[str, Any], message: str) -> None:
    document = {"input": [3, 16, 16], "classes": 3, "stem": {"width": 2}, "stages": [{"blocks": [block]}]}
    with pytest.raises(SpaceError, match=message):
        normalise(Architecture.from_json(document))


@pytest.mark.parametrize(("name", "side"), [("cifar", 32), ("v3", 96), ("imagenet", 224), ("factorization", 224)])
def test_a_shipped_space_offers_what_it_says(name: str, side: int) -> None:
    space = parse_space(yaml.safe_load((CONF / f"{name}.yaml").read_text()), Shape(3, side, side), 10)
    assert space.name == name
    generator = random.Random(0)
    for _ in range(20):
        check_architecture(space.draw(generator), space)
        check_architecture(space.uniform(generator), space)
    assert len({p.path for p in space.parameters}) == len(space.parameters)


def test_a_setting_that_is_no_number_and_no_word_is_refused() -> None:
    block = {"family": "next", "settings": {"ratio": [1]}}
    document = {"input": [3, 16, 16], "classes": 3, "stem": {"width": 2}, "stages": [{"blocks": [block]}]}
    with pytest.raises(ValueError, match=r"a setting must be a number or a word, .*, got \[1\] at next\.ratio"):
        Architecture.from_json(document)


def test_grouped_convolutions_share_out_the_weights() -> None:
    block = {"family": "inception", "branches": {"k3": {"width": 8, "groups": [1, 2, 4]}}}
    space = parse_space({"name": "g", "stem": {"width": 8}, "stages": [{"depth": 1, "block": block}]}, INPUT, 3)
    params = [cost(lower(a)).params for a in enumerate_space(space)]
    assert [p - params[2] for p in params] == [9 * 64 * 3 // 4, 9 * 64 // 4, 0]


def test_groups_that_do_not_fit_are_made_to() -> None:
    block = {"family": "inception", "branches": {"k3": {"width": 6, "groups": 4}}}
    space = parse_space({"name": "g", "stem": {"width": 8}, "stages": [{"depth": 1, "block": block}]}, INPUT, 3)
    (only,) = enumerate_space(space)
    assert cost(lower(only)).params == 3 * 8 * 9 + 16 + 6 * 4 * 9 + 12 + 7 * 3


def test_the_page_names_every_family_and_every_published_network() -> None:
    page = (CONF.parents[1] / "docs" / "families.md").read_text()
    missing = [name for name in (*families(), *REFERENCES) if f"`{name}`" not in page]
    assert missing == []
