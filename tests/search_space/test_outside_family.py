"""Block families from outside, found by their dotted path and used as our own; and one of our own deleted."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import search_space
from search_space.architecture import Architecture
from search_space.blocks import families, family
from search_space.choices import SpaceError
from search_space.cost import cost
from search_space.drawing import draw
from search_space.encoding import columns, encode
from search_space.graph import Shape
from search_space.identity import network_id
from search_space.lowering import lower, normalise, summary
from search_space.memo import Memo
from search_space.network import build
from search_space.plugins import TRUSTED, PluginError
from search_space.projection import project, searchable
from search_space.references.architectures import ARCHITECTURES
from search_space.source import source
from search_space.space import Space, parse_space

MODULE = """
from dataclasses import dataclass

from search_space.architecture import Block, Branch
from search_space.blocks import BlockFields, Family, Units, family, family_of, option, width
from search_space.graph import Concat, Node, Seq


@dataclass(frozen=True, slots=True)
class Ghost(BlockFields):
    half: int = width()
    side: int = option(3, 5)

    def lower(self, channels: int, units: Units, name: str) -> Node:
        primary = units.conv(self.half, 1, name="primary")
        cheap = Seq((primary, units.depthwise(self.half, self.side, name="cheap")), name="cheap")
        return Concat((primary, cheap), name=name)

    def branches(self):
        return (Branch("k1", self.half), Branch("k3", self.half))


@dataclass(frozen=True, slots=True)
class Strided(BlockFields):
    REDUCES = True
    out: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:
        return Seq((units.edge_conv(self.out, 3, stride=2, name="conv"),), name=name)


def widest(block: Block, channels: int, name: str) -> Node:
    return family("inception").lower(Block("inception", block.branches[:1]), channels, name)


def parse_widest(mapping, path):
    raise NotImplementedError


GHOST = family_of(Ghost)
STRIDED = family_of(Strided)
WIDEST = Family(lambda block: block, widest, parse_widest)
NUMBER = 3
"""
INPUT = Shape(3, 16, 16)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write a module with families, importable and not yet trusted, and yield its name."""
    name = "outside_blocks"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(TRUSTED, "")
    yield name
    sys.modules.pop(name, None)


def mapping(block: Any, **stage: Any) -> dict[str, Any]:
    return {"name": "outside", "stem": {"width": [4, 8]}, "stages": [{"depth": [1, 2], "block": block, **stage}]}


def ghosts(module: str, **more: Any) -> Space:
    return parse_space(mapping({"family": f"{module}.GHOST", "half": [2, 4], "side": [3, 5]}, **more), INPUT, 3)


def test_a_family_from_outside_is_counted_drawn_and_encoded(module: str) -> None:
    space = ghosts(module)
    assert space.size == 2 * (4 + 4**2)
    everything = list(space.architectures())
    assert len(everything) == space.size
    assert len({encode(space, architecture) for architecture in everything}) == space.size
    assert "stage0.block1.half" in columns(space)
    drawn = space.uniform(random.Random(0))
    assert space.contains(space.mutate(drawn, random.Random(0)))
    assert {block.family for block in drawn.stages[0].blocks} == {f"{module}.GHOST"}


def test_a_family_from_outside_is_lowered_measured_written_and_shown(module: str) -> None:
    architecture = next(a for a in ghosts(module).architectures() if len(a.stages[0].blocks) == 2)
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert normalise(again) == architecture
    graph = lower(again)
    assert Memo().examine(architecture) == (network_id(graph), cost(graph))
    network = build(graph).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == cost(graph).params
    assert network(torch.zeros(2, *INPUT)).shape == (2, 3)
    assert summary(architecture).endswith(" [outside_blocks.GHOST half:2] [outside_blocks.GHOST half:2]")
    assert "stage0.block1" in draw(graph)
    written: dict[str, Any] = {"__name__": "written", "__file__": "model.py"}
    exec(source(graph), written)
    assert written["Network"]().state_dict().keys() == network.state_dict().keys()


def test_a_family_from_outside_reduces_and_stands_among_alternatives(module: str) -> None:
    block = [{"family": f"{module}.GHOST", "half": [2, 4]}, {"family": "v4a", "reduce": 1, "out": [2, 3]}]
    stage = {"reduction": ["max", "block"], "grid": {"family": f"{module}.STRIDED", "out": [3, 6]}}
    space = parse_space(mapping(block, **stage), INPUT, 3)
    assert space.size == 2 * 3 * (4 + 4**2)
    assert len(list(space.architectures())) == space.size
    with pytest.raises(SpaceError, match=r"must not halve .* got 'outside_blocks\.STRIDED' at stage0\.block\.family"):
        parse_space(mapping({"family": f"{module}.STRIDED", "out": 3}), INPUT, 3)


def test_networks_are_projected_onto_a_family_from_outside_and_from_it(module: str) -> None:
    space = ghosts(module)
    member = space.uniform(random.Random(1))
    assert project(space, member, 1.0).architecture == member
    assert space.contains(project(space, ARCHITECTURES["googlenet"](INPUT, 3)).architecture)
    near = searchable(member.stages[0].blocks[0])
    assert near is not None
    assert [branch.name for branch in near.branches] == ["k1", "k3"]


def test_branches_of_a_family_from_outside_are_lowered_by_that_family(module: str) -> None:
    branches = [{"name": "k3", "width": 4}, {"name": "k1", "width": 2}]
    document = {"input": list(INPUT), "classes": 3, "stem": {"width": 2}}
    stages = [{"blocks": [{"family": f"{module}.WIDEST", "branches": branches}]}]
    family(f"{module}.WIDEST", stored=False)
    architecture = normalise(Architecture.from_json({**document, "stages": stages}))
    graph = lower(architecture)
    assert cost(graph).params == (2 * 3 * 9 + 4) + (4 * 2 * 9 + 8) + (4 * 3 + 3)
    assert Memo().examine(architecture) == (network_id(graph), cost(graph))
    assert summary(architecture) == "3:2 [outside_blocks.WIDEST 3:4 1:2]"


def test_only_a_space_makes_a_module_trusted(module: str) -> None:
    stages = [{"blocks": [{"family": f"{module}.GHOST", "settings": {"half": 2}}]}]
    document = {"input": list(INPUT), "classes": 3, "stem": {"width": 2}, "stages": stages}
    stored = Architecture.from_json(document)
    with pytest.raises(PluginError, match=r"a block family names 'outside_blocks\.GHOST', code from outside"):
        normalise(stored)
    assert module not in sys.modules
    ghosts(module)
    assert normalise(stored) == stored


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NUMBER", r"must be a search_space\.blocks\.Family, .* got 'outside_blocks\.NUMBER', which is 3 at stage0"),
        ("Ghost", r"must be a search_space\.blocks\.Family, as family_of returns, got 'outside_blocks\.Ghost'"),
        ("GHOSTS", r"stage0\.block\.family must name something in its module, outside_blocks has no 'GHOSTS'"),
    ],
)
def test_what_is_no_family_is_refused_in_a_line(module: str, name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message) as caught:
        parse_space(mapping({"family": f"{module}.{name}"}), INPUT, 3)
    assert "\n" not in str(caught.value)


def test_a_module_that_is_missing_is_named() -> None:
    with pytest.raises(PluginError, match=r"stage0\.block\.family must be importable, got 'no_such_blocks\.GHOST'"):
        parse_space(mapping({"family": "no_such_blocks.GHOST"}), INPUT, 3)


def test_a_bad_block_from_outside_names_its_field(module: str) -> None:
    ghosts(module)
    stages = [{"blocks": [{"family": f"{module}.GHOST", "settings": {"half": 0}}]}]
    document = {"input": list(INPUT), "classes": 3, "stem": {"width": 2}, "stages": stages}
    with pytest.raises(SpaceError, match=r"must be an integer >= 1, got 0 at Ghost\.half"):
        normalise(Architecture.from_json(document))


def test_deleting_a_family_is_deleting_its_file(tmp_path: Path) -> None:
    package = tmp_path / "search_space"
    shutil.copytree(Path(search_space.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "blocks" / "naive.py").unlink()
    script = """
import random
from search_space.blocks import families
from search_space.graph import Shape
from search_space.projection import project
from search_space.references.architectures import ARCHITECTURES
from search_space.space import parse_space

block = [{"family": "v1", "k1": 2, "k3_reduce": 2, "k3": 4, "k5_reduce": 1, "k5": 2, "pool": [1, 2]},
         {"family": "v4a", "reduce": 1, "out": [2, 3]}]
stage = {"depth": [1, 2], "block": block}
space = parse_space({"name": "n", "stem": {"width": 2}, "stages": [stage]}, Shape(3, 16, 16), 3)
space.uniform(random.Random(0))
project(space, ARCHITECTURES["googlenet"](space.input, 3))
print(*families())
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [name for name in families() if name != "naive"]
