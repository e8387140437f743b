"""Limits of sizes: what is larger than any network in use is refused at once, by its path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from search_space.architecture import Architecture
from search_space.choices import SpaceError
from search_space.graph import Shape
from search_space.limits import DEEPEST, MOST_CHANNELS, MOST_OPTIONS
from search_space.space import Space, parse_space

IMAGE = Shape(3, 32, 32)
BLOCK: dict[str, Any] = {"branches": {"k1": {"width": [4, 8]}, "k3": {"width": [0, 4]}}}

MANY_CHOICES = {"branches": {key: {"width": [0, 1], "groups": [1, 2]} for key in ("k3", "k5", "k7")}}


def space(stem: Mapping[str, Any] | None = None, **changes: Any) -> Space:
    stage = {"depth": [1, 2], "block": BLOCK} | {k: v for k, v in changes.items() if k in {"depth", "block", "blocks"}}
    if "blocks" in changes:
        stage = {"blocks": changes["blocks"]}
    whole = {"name": "s", "stem": {"width": 4, **(stem or {})}, "stages": [stage]}
    return parse_space(whole | {k: v for k, v in changes.items() if k in {"name", "stages", "dropout"}}, IMAGE, 10)


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"depth": [1, 10**12]}, "options must be integers <= 64, got 1000000000000 at stage0.depth"),
        ({"depth": {"low": 1, "high": 10**12}}, "at most 1000 options, got 1000000000000 at stage0.depth"),
        ({"depth": {"low": 0, "high": 10**400}}, "at most 1000 options, got an integer of 1329 bits at stage0.depth"),
        ({"depth": list(range(2000))}, "at most 1000 options, got 2000 at stage0.depth"),
        ({"stem": {"width": 10**6}}, "options must be integers <= 65536, got 1000000 at stem.width"),
        ({"stem": {"kernel": 1001}}, "options must be integers <= 255, got 1001 at stem.kernel"),
        ({"stem": {"stride": 10**9}}, "options must be integers <= 255, got 1000000000 at stem.stride"),
        ({"stem": {"width": {"low": 1, "high": math.nan}}}, "a range must go from low to high in whole steps"),
        ({"stem": {"width": [1, math.inf]}}, "options must be integers >= 1"),
        ({"stages": [{"depth": 1, "block": BLOCK}] * 1000}, "stages must be at most 32, got 1000"),
        ({"blocks": [BLOCK] * 1000}, "blocks must be at most 64, got 1000 at stage0"),
        ({"block": [BLOCK] * 1000}, "alternatives must be at most 64, got 1000 at stage0.block"),
        (
            {"stages": [{"depth": 64, "block": MANY_CHOICES}] * 32},
            "a space must have at most 5000 choices, s has 12288",
        ),
        ({"name": "x" * 1000}, "name must have 1 to 200 characters"),
        ({"name": ["x"]}, r"name must have 1 to 200 characters, got \['x'\]"),
        ({"dropout": math.nan}, r"dropout must lie in \[0, 1\), got nan"),
        ({"dropout": 10**400}, r"dropout must lie in \[0, 1\)"),
    ],
)
def test_a_space_that_is_too_large_is_refused_at_once(changes: dict[str, Any], law: str) -> None:
    with pytest.raises(SpaceError, match=law):
        space(**changes)


def test_the_largest_sizes_are_computed_with() -> None:
    deep = space(depth=[1, DEEPEST])
    assert deep.size == 4 + 4**DEEPEST
    assert len(deep.parameters) == 1 + 2 * DEEPEST
    assert len(space(stem={"width": {"low": 1, "high": MOST_OPTIONS}}).parameters[0].choice.options) == MOST_OPTIONS


def test_a_space_is_not_enumerated_beyond_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_space.space.MOST_CHOSEN", 20_000)
    rarely_filled = space(depth=DEEPEST, block={"branches": {"k1": {"width": [0, 4]}}})
    assert rarely_filled.size == DEEPEST + 1  # so few that only the number of combinations says that it is large
    with pytest.raises(SpaceError, match="at most 20000 choices in all of its combinations, s has more"):
        list(rarely_filled.architectures())


def document(**changes: Any) -> dict[str, Any]:
    block = {"family": "inception", "branches": [{"name": "k1", "width": 4}]}
    whole = {"input": [3, 8, 8], "classes": 3, "stem": {"width": 2}, "stages": [{"blocks": [block]}]}
    return whole | changes


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"classes": 10**9}, "classes must be an integer <= 1000000, got 1000000000"),
        ({"classes": 10**5000}, "classes must be an integer <= 1000000, got an integer of 16610 bits"),
        ({"input": [3, 10**9, 8]}, "every extent of input must be an integer <= 65536, got 1000000000"),
        ({"input": [3] * 10_000}, r"input must be \[channels, height, width\], got a list of 10000"),
        ({"stem": {"width": MOST_CHANNELS + 1}}, "width must be an integer <= 65536, got 65537 at stem"),
        ({"stem": {"width": 2, "kernel": 1001}}, "kernel must be an integer <= 255, got 1001 at stem"),
        ({"stem": {"width": 2, "kernel": True}}, "kernel must be odd, got True at stem"),
        ({"stem": {"width": 2, "stride": 10**9}}, "stride must be an integer <= 255, got 1000000000 at stem"),
        ({"stages": [{"blocks": []}] * 33}, "at most 32 stages, got 33"),
        ({"stages": [{"blocks": document()["stages"][0]["blocks"] * 65}]}, "at most 64 blocks of a stage, got 65"),
        (
            {"stages": [{"blocks": [{"family": "inception", "branches": [{"name": "k1", "width": 10**30}]}]}]},
            f"width must be an integer <= 65536, got {10**30} at k1 of stage0.block0",
        ),
        (
            {"stages": [{"blocks": [{"family": "next", "settings": {"ratio": math.inf}}]}]},
            "a setting must be a number or a word, up to 65536 or 200 characters, got inf at next.ratio",
        ),
        (
            {"stages": [{"blocks": [{"family": "f" * 300, "settings": {}}]}]},
            "family of a block must be a word",
        ),
    ],
)
def test_an_architecture_that_is_too_large_is_refused_at_once(changes: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        Architecture.from_json(document(**changes))
