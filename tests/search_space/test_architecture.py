from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Shape
from search_space.identity import network_id
from search_space.lowering import lower, normalise, summary
from search_space.space import parse_space


def golden() -> Architecture:
    first = Block(
        "inception",
        (
            Branch("k1", 16),
            Branch("k3", 8, reduction=0.5, factorization="separable"),
            Branch("k5", 24, reduction=0.25, factorization="asymmetric"),
            Branch("k7", 8, factorization="stacked"),
            Branch("pool", 12, pool="avg"),
        ),
    )
    stages = (Stage((first,)), Stage((Block("inception", (Branch("k3", 8),)),), "max"))
    return Architecture(Shape(3, 16, 16), 10, Stem(8, 3, 2), stages, dropout=0.25)


def test_golden_identities() -> None:
    # An identity that changes breaks every stored study: change these only with a new format version.
    assert golden().id == "057c99390fc2b358"
    assert network_id(lower(golden())) == "402be33b4d5d2bdf"
    smallest = Architecture(Shape(1, 8, 8), 2, Stem(4), (Stage(()),))
    assert smallest.id == "746d0d37c9d68f7f"
    assert network_id(lower(smallest)) == "675dead5468b8e36"


def test_summary_is_one_readable_line() -> None:
    assert summary(golden()) == "3:8/2 [1:16 3d:4→8 5a:6→24 7s:8 avg:12] ↓max [3:8]"


def test_json_leaves_defaults_out() -> None:
    assert Architecture(Shape(1, 8, 8), 2, Stem(4), (Stage(()),)).to_json() == {
        "input": [1, 8, 8],
        "classes": 2,
        "stem": {"width": 4, "kernel": 3, "stride": 1},
        "stages": [{"blocks": []}],
    }


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_json_round_trip_keeps_both_identities(quick_mapping: dict[str, Any], seed: int) -> None:
    drawn = parse_space(quick_mapping, Shape(3, 16, 16), 10).draw(random.Random(seed))
    again = Architecture.from_json(json.loads(json.dumps(drawn.to_json())))
    assert again == drawn
    assert again.id == drawn.id
    assert network_id(lower(again)) == network_id(lower(drawn))


def test_a_whole_ratio_has_one_identity() -> None:
    document = golden().to_json()
    document["stages"][0]["blocks"][0]["branches"][1]["reduction"] = 1
    whole = Architecture.from_json(document)
    document["stages"][0]["blocks"][0]["branches"][1]["reduction"] = 1.0
    assert whole.id == Architecture.from_json(document).id


@pytest.mark.parametrize(
    ("width", "ratio", "channels"), [(24, 0.25, 6), (2, 0.25, 1), (1, 0.25, 1), (6, 0.25, 2), (10, 0.25, 3), (7, 1, 7)]
)
def test_reduced_channels_round_halves_up_and_are_at_least_one(width: int, ratio: float, channels: int) -> None:
    assert Branch("k5", width, reduction=ratio).reduced == channels
    assert Branch("k5", width).reduced is None


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: Branch("k5", -1), "width must be an integer >= 0, got -1 at k5"),
        (lambda: Branch("k5", 4.0), r"width must be an integer >= 0, got 4\.0 at k5"),
        (lambda: Branch("k5", True), "width must be an integer >= 0, got True at k5"),
        (lambda: Branch("k5", 4, reduction=0.0), r"reduction must be none or lie in \(0, 1\], got 0\.0 at k5"),
        (lambda: Branch("k5", 4, reduction=1.5), r"reduction must be none or lie in \(0, 1\], got 1\.5 at k5"),
        (lambda: Branch("k5", 4, factorization="magic"), "factorization must be one of .*, got 'magic' at k5"),
        (lambda: Branch("pool", 4, pool="median"), "pool must be one of .*, got 'median' at pool"),
        (lambda: Stage((), "min"), "reduction of a stage must be one of .*, got 'min'"),
        (lambda: Stem(0), "width must be an integer >= 1, got 0 at stem"),
        (lambda: Stem(4, 2), "kernel must be odd, got 2 at stem"),
        (lambda: Stem(4, 3, 0), "stride must be an integer >= 1, got 0 at stem"),
        (lambda: Architecture(Shape(1, 8, 8), 1, Stem(4), ()), "classes must be an integer >= 2, got 1"),
        (
            lambda: Architecture(Shape(0, 8, 8), 2, Stem(4), ()),
            r"every extent of input must be an integer >= 1, got 0 of \[0, 8, 8\]",
        ),
        (lambda: Architecture(Shape(1, 8, 8), 2, Stem(4), (), 1.0), r"dropout must lie in \[0, 1\), got 1\.0"),
    ],
)
def test_a_choice_out_of_range_cannot_be_made(make: Callable[[], object], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        make()


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (lambda d: d.pop("stem"), r"architecture must have .*, lacks \['stem'\]"),
        (lambda d: d.update(stages=3), "a JSON list must stand at stages, got 3"),
        (lambda d: d.update(input=[3, 16]), r"input must be \[channels, height, width\], got \[3, 16\]"),
        (lambda d: d.update(classes="10"), "classes must be an integer >= 2, got '10'"),
        (lambda d: d.update(drop_out=0.1), r"got also \['drop_out'\]"),
        (lambda d: d["stem"].update(pad=1), r"stem may have .*, got also \['pad'\]"),
        (lambda d: d["stages"][1].update(blocks=None), r"a JSON list must stand at stage1\.blocks, got None"),
        (lambda d: d["stages"].append([]), r"a JSON object must stand at stage2, got \[\]"),
        (lambda d: d["stages"][0]["blocks"][0].pop("family"), r"stage0\.block0 must have .*, lacks \['family'\]"),
        (
            lambda d: d["stages"][0]["blocks"][0]["branches"][2].update(width="24"),
            r"width must be an integer >= 0, got '24' at k5 of stage0\.block0",
        ),
    ],
)
def test_a_document_that_is_no_architecture_is_refused_with_its_path(
    change: Callable[[dict[str, Any]], object], law: str
) -> None:
    document = json.loads(json.dumps(golden().to_json()))
    change(document)
    with pytest.raises(ValueError, match=law):
        Architecture.from_json(document)


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(), st.text(max_size=3), st.just([]))


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


@given(data=st.data(), value=ANYTHING)
@settings(max_examples=150, deadline=None)
def test_a_damaged_document_is_read_or_refused_in_words(data: st.DataObject, value: object) -> None:
    document = json.loads(json.dumps(golden().to_json()))
    *parents, last = data.draw(st.sampled_from([place for place in places(document) if place]))
    target = document
    for step in parents:
        target = target[step]
    target[last] = value
    try:
        read = Architecture.from_json(document)
    except ValueError:
        return  # any other kind of error fails the test
    assert Architecture.from_json(read.to_json()) == read


def test_normalising_drops_what_is_not_used() -> None:
    block = Block(
        "inception",
        (
            Branch("pool", 4),
            Branch("k3", 8, factorization="stacked"),
            Branch("k5", 0, reduction=0.5),
            Branch("k1", 4, reduction=0.5, factorization="separable"),
        ),
    )
    empty = Block("inception", (Branch("k1", 0),))
    made = Architecture(Shape(3, 8, 8), 10, Stem(4), (Stage((empty, block, empty)), Stage((empty,), "avg")))
    expected = Block("inception", (Branch("k1", 4), Branch("k3", 8), Branch("pool", 4, pool="max")))
    assert normalise(made).stages == (Stage((expected,)), Stage((), "avg"))
    assert normalise(normalise(made)) == normalise(made)


def test_foreign_branches_and_families_are_refused() -> None:
    def made(block: Block) -> Architecture:
        return Architecture(Shape(3, 8, 8), 10, Stem(4), (Stage((block,)),))

    with pytest.raises(ValueError, match=r"a block family must be one of .*, got 'dense'"):
        normalise(made(Block("dense", ())))
    with pytest.raises(ValueError, match=r"branches must differ and be of .*, got \['k2'\]"):
        normalise(made(Block("inception", (Branch("k2", 4),))))
    with pytest.raises(ValueError, match=r"branches must differ .*, got \['k3', 'k3'\]"):
        normalise(made(Block("inception", (Branch("k3", 4), Branch("k3", 8)))))
