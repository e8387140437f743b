from __future__ import annotations

import random
from typing import Any
from xml.etree import ElementTree

import pytest

from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.comparison import OUTLINES, draw_both
from search_space.graph import Shape
from search_space.space import parse_space

SVG = "{http://www.w3.org/2000/svg}"


def network(*blocks: tuple[Branch, ...], reduction: str = "none") -> Architecture:
    stage = Stage(tuple(Block("inception", branches) for branches in blocks), reduction)
    return Architecture(Shape(1, 8, 8), 10, Stem(8), (stage,))


def marks(svg: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the outlined parts of both drawings: path to kind of change."""
    left, right = (
        {
            str(part.get("data-path")): str(box.get("class"))
            for part in side.iter()
            for box in part
            if box.get("class") in OUTLINES
        }
        for side in ElementTree.fromstring(svg).findall(f"{SVG}svg")
    )
    return left, right


def test_a_changed_branch_is_outlined_in_both_drawings() -> None:
    svg = draw_both(
        network((Branch("k3", 8), Branch("k5", 8))),
        network((Branch("k3", 8), Branch("k5", 8, factorization="stacked"))),
    )
    assert marks(svg) == ({"stage0.block0.k5": "changed"}, {"stage0.block0.k5": "changed"})
    assert "stage0.block0.k5: full → stacked" in svg


def test_what_one_network_has_alone_is_outlined_there() -> None:
    k3, k7 = Branch("k3", 8), Branch("k7", 4)
    left, right = marks(draw_both(network((k3, k7)), network((k3,), (k3,), reduction="max")))
    assert left == {"stage0.block0.k7": "removed"}
    assert right == {"stage0.block1": "added", "stage0.reduction": "changed"}


def test_the_kinds_differ_without_their_colours() -> None:
    assert len({style.dashes for style in OUTLINES.values()}) == len({style.colour for style in OUTLINES.values()}) == 3


def test_equal_networks_have_no_outline_and_say_so() -> None:
    one = network((Branch("k3", 8),))
    svg = draw_both(one, one)
    assert marks(svg) == ({}, {})
    assert "no difference" in svg


def test_titles_are_escaped() -> None:
    one = network((Branch("k3", 8),))
    svg = draw_both(one, one, ("<script>alert(1)</script>", "a & b"))
    assert ElementTree.fromstring(svg).find(f".//{SVG}script") is None


@pytest.mark.parametrize("seed", range(10))
def test_random_networks_stand_side_by_side(quick_mapping: dict[str, Any], seed: int) -> None:
    space, generator = parse_space(quick_mapping, Shape(1, 8, 8), 10), random.Random(seed)
    root = ElementTree.fromstring(draw_both(space.draw(generator), space.draw(generator)))
    left, right = root.findall(f"{SVG}svg")
    end = float(left.get("x", "nan")) + float(left.get("width", "nan"))
    assert end <= float(right.get("x", "nan"))
    assert float(right.get("x", "nan")) + float(right.get("width", "nan")) <= float(root.get("width", "nan")) + 0.2
