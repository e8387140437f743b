"""Encodings: fixed length, numbers in [0, 1], one for each architecture."""

from __future__ import annotations

import random

import pytest
import yaml

from search_space.architecture import Architecture
from search_space.choices import SpaceError
from search_space.encoding import columns, encode
from search_space.graph import Shape
from search_space.space import Space, parse_space

INPUT = Shape(3, 16, 16)
TEXT = """
name: small
stem: {width: [4, 6, 12], kind: [conv, v1]}
stages:
  - depth: [1, 2]
    block:
      - branches:
          k1: {width: [0, 2]}
          k3: {width: [0, 3, 4], reduction: [none, 0.5], factorization: [full, stacked, separable], groups: [1, 2]}
      - {family: v4a, reduce: 1, out: [2, 5]}
"""


@pytest.fixture(scope="module")
def space() -> Space:
    return parse_space(yaml.safe_load(TEXT), INPUT, 3)


def test_different_architectures_have_different_encodings(space: Space) -> None:
    generator = random.Random(0)
    drawn = {a.id: a for a in (space.uniform(generator) for _ in range(3000))}
    encodings = {encode(space, architecture) for architecture in drawn.values()}
    assert len(encodings) == len(drawn) > 1000
    assert {len(encoding) for encoding in encodings} == {len(columns(space))}
    assert all(0 <= number <= 1 for encoding in encodings for number in encoding)


def test_what_is_absent_is_masked(space: Space) -> None:
    document = {
        "input": list(INPUT),
        "classes": 3,
        "stem": {"width": 6, "kind": "v1"},
        "stages": [{"blocks": [{"family": "inception", "branches": [{"name": "k1", "width": 2}]}]}],
    }
    named = dict(zip(columns(space), encode(space, Architecture.from_json(document)), strict=True))
    assert named["stem.width"] == 0.25
    assert (named["stem.kind=conv"], named["stem.kind=v1"]) == (0, 1)
    assert (named["stage0.block0.inception.k3.width?"], named["stage0.block0.inception.k3.width"]) == (1, 0)
    asked = {name for name, number in named.items() if number > 0}
    assert not any("k3.reduction" in name or "k3.groups" in name or "v4a" in name.split("=")[0] for name in asked)
    assert not any(name.startswith("stage0.block1") for name in asked)


def test_a_foreign_architecture_is_refused(space: Space) -> None:
    document = {"input": [3, 16, 16], "classes": 3, "stem": {"width": 5}, "stages": [{"blocks": []}]}
    with pytest.raises(SpaceError, match=r"got 5 at stem\.width"):
        encode(space, Architecture.from_json(document))
