from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.choices import RandomChooser, ReplayChooser, SpaceError, Value
from search_space.cost import cost
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.space import Space, parse_space

INPUT = Shape(1, 8, 8)


class ScriptedChooser:
    """Chooser that takes option number `script[i]` at the i-th choice, the first after the script's end."""

    def __init__(self, script: list[int]) -> None:
        self.script = script
        self.met: list[tuple[str, tuple[Value, ...]]] = []

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        turn = len(self.met)
        self.met.append((path, options))
        return options[self.script[turn] if turn < len(self.script) else 0]

    integer = option


def every_sample(space: Space) -> Iterator[Architecture]:
    """Yield the space's sample for every combination of choices, duplicates included."""
    script: list[int] = []
    while True:
        chooser = ScriptedChooser(script)
        yield space.sample(chooser)
        script = following(script, [len(options) for _, options in chooser.met])
        if not script:
            return


def following(script: list[int], arities: list[int]) -> list[int]:
    """Return the combination after `script`, whose choices have so many options; empty after the last."""
    script = [script[i] if i < len(script) else 0 for i in range(len(arities))]
    while script and script[-1] == arities[len(script) - 1] - 1:
        script.pop()
    if script:
        script[-1] += 1
    return script


def mapping(*blocks: dict[str, Any], depth: object = 1, reduction: object = "none", stem: object = 4) -> dict[str, Any]:
    stages = [{"depth": depth, "reduction": reduction, "block": {"branches": branches}} for branches in blocks]
    return {"name": "small", "stem": {"width": stem}, "stages": stages}


SMALL: dict[str, dict[str, Any]] = {
    "one architecture": mapping({"k1": {"width": 4}}),
    "no block at all": mapping({"k1": {"width": 0}}, depth=[0, 1, 2]),
    "empty blocks": mapping({"k1": {"width": [0, 4]}, "k3": {"width": [0, 4, 8]}}, depth=[1, 2]),
    "empty blocks, one depth": mapping({"k1": {"width": [0, 4]}, "pool": {"width": [0, 4]}}, depth=3),
    "gaps between depths": mapping({"k1": {"width": [0, 4]}}, depth=[0, 3]),
    "never empty": mapping({"k1": {"width": [4, 8]}, "k5": {"width": [0, 4]}}, depth=[1, 3]),
    "stacked at 3": mapping(
        {"k3": {"width": [0, 4], "factorization": ["full", "stacked", "separable"]}}, depth=[1, 2], stem=[4, 8]
    ),
    "stacked alone at 3": mapping({"k3": {"width": [4, 8], "factorization": "stacked"}}),
    "ratios": mapping({"k5": {"width": [0, 4], "reduction": ["none", 0.25, 0.3, 1]}, "k1": {"width": 4}}),
    "pools": mapping({"pool": {"width": [0, 2, 4], "pool": ["max", "avg"]}}, depth=[1, 2], reduction=["none", "max"]),
    "both blocks at the peak": mapping(
        {"k7": {"width": 4, "reduction": 0.25, "factorization": ["stacked", "separable"]}}, depth=2, stem=[4, 8, 16]
    ),
    "two choices at the peak": mapping(
        {
            "k5": {"width": 8, "reduction": [1, "none", 0.5], "factorization": ["asymmetric", "separable"]},
            "k7": {"width": [0, 4], "reduction": ["none", 0.25]},
        },
        depth=[1, 2],
        stem=[4, 8],
    ),
    "two stages": mapping(
        {"k1": {"width": [0, 4]}, "k7": {"width": [0, 4], "factorization": ["stacked", "asymmetric"]}},
        {"k3": {"width": {"low": 2, "high": 6, "step": 2}}},
        reduction=["none", "max", "avg"],
        stem={"low": 2, "high": 4},
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_size_is_what_enumeration_counts(name: str) -> None:
    space = parse_space(SMALL[name], INPUT, 2)
    drawn = {architecture.id: architecture for architecture in every_sample(space)}
    assert space.size == len(drawn)
    assert len(set(drawn.values())) == len(drawn)
    assert all(space.contains(architecture) for architecture in drawn.values())


@pytest.mark.parametrize("name", SMALL)
def test_architectures_are_every_one_once_in_one_order(name: str) -> None:
    space = parse_space(SMALL[name], INPUT, 2)
    listed = list(space.architectures())
    assert len(listed) == space.size
    assert {architecture.id for architecture in listed} == {architecture.id for architecture in every_sample(space)}
    assert listed == list(space.architectures())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("measure", ["params", "macs", "activation_bytes"])
def test_minimise_finds_the_enumerated_minimum(name: str, measure: str) -> None:
    def value(architecture: Architecture) -> int:
        return int(getattr(cost(lower(architecture)), measure))

    space = parse_space(SMALL[name], INPUT, 2)
    assert value(space.minimise(value)) == min(value(architecture) for architecture in every_sample(space))


def large() -> Space:
    """Return a space too large to enumerate, with every kind of choice."""
    branches = {
        "k1": {"width": {"low": 0, "high": 32, "step": 4}},
        "k3": {"width": {"low": 0, "high": 32, "step": 4}, "reduction": ["none", 0.25, 0.5]},
        "k5": {"width": [0, 4, 8, 12, 16], "reduction": ["none", 0.25, 0.5], "factorization": ["full", "stacked"]},
        "pool": {"width": [0, 4, 16], "pool": ["max", "avg"]},
    }
    document = mapping(branches, branches, depth=[1, 2], reduction=["max", "avg"], stem=[4, 8, 16])
    document["stem"] |= {"stride": [1, 2]}
    return parse_space(document, Shape(3, 16, 16), 10)


def test_size_of_a_large_space_by_hand() -> None:
    blocks = (1 + 8) * (1 + 8 * 3) * (1 + 4 * 3 * 2) * (1 + 2 * 2) - 1
    assert large().size == 3 * 2 * (2 * (1 + blocks + blocks**2)) ** 2


def test_the_shipped_space_is_large_and_can_be_empty(quick_mapping: dict[str, Any]) -> None:
    space = parse_space(quick_mapping, Shape(3, 16, 16), 10)
    assert space.size > 10**12
    assert not any(stage.blocks for stage in space.minimise(lambda a: cost(lower(a)).macs).stages)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_samples_are_contained_and_their_assignments_replay(quick_mapping: dict[str, Any], seed: int) -> None:
    space = parse_space(quick_mapping, Shape(3, 16, 16), 10)
    drawn = space.draw(random.Random(seed))
    assert space.contains(drawn)
    assignments = space.assignments(drawn)
    replay = ReplayChooser(assignments, RandomChooser(random.Random(0)))
    assert space.sample(replay) == drawn
    assert set(replay.met) <= set(assignments)
    for path, options in replay.met.items():
        assert assignments[path] in options


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_mutants_stay_inside_and_differ(quick_mapping: dict[str, Any], seed: int) -> None:
    space = parse_space(quick_mapping, Shape(3, 16, 16), 10)
    generator = random.Random(seed)
    parent = space.draw(generator)
    child = space.mutate(parent, generator)
    assert space.contains(child)
    assert child.id != parent.id
    assert space.mutate(parent, random.Random(seed)) == space.mutate(parent, random.Random(seed))


@pytest.mark.parametrize("name", ["empty blocks", "stacked at 3", "pools"])
def test_mutation_reaches_the_whole_space(name: str) -> None:
    space = parse_space(SMALL[name], INPUT, 2)
    generator = random.Random(0)
    current = space.draw(generator)
    seen = {current.id}
    for _ in range(60 * space.size):
        current = space.mutate(current, generator)
        seen.add(current.id)
    assert len(seen) == space.size


def test_mutation_needs_another_architecture() -> None:
    alone = parse_space(SMALL["one architecture"], INPUT, 2)
    with pytest.raises(SpaceError, match="a mutation needs a choice, small has none"):
        alone.mutate(alone.draw(random.Random(0)), random.Random(0))
    same = parse_space(mapping({"k3": {"width": 4, "factorization": ["full", "stacked"]}}), INPUT, 2)
    with pytest.raises(SpaceError, match="a mutation must find another architecture, found none"):
        same.mutate(same.draw(random.Random(0)), random.Random(0))


def foreigners(mine: Architecture) -> dict[str, Architecture]:
    block = mine.stages[0].blocks[0]

    def with_block(**changes: Any) -> Architecture:
        return replace(mine, stages=(replace(mine.stages[0], blocks=(replace(block, **changes),)), *mine.stages[1:]))

    def with_branch(**changes: Any) -> Architecture:
        return with_block(branches=tuple(replace(b, **changes) if b.name == "k3" else b for b in block.branches))

    return {
        "input": replace(mine, input=Shape(3, 8, 8)),
        "classes": replace(mine, classes=3),
        "dropout": replace(mine, dropout=0.5),
        "stem": replace(mine, stem=Stem(5)),
        "stage missing": replace(mine, stages=mine.stages[:1]),
        "stage reduction": replace(mine, stages=(replace(mine.stages[0], reduction="max"), *mine.stages[1:])),
        "too deep": replace(mine, stages=(Stage((block,) * 3), *mine.stages[1:])),
        "width": with_branch(width=5),
        "ratio": with_branch(reduction=0.75),
        "factorization": with_branch(factorization="asymmetric"),
        "not normalised": with_branch(factorization="stacked"),
        "pool of a convolution": with_branch(pool="max"),
        "branch order": with_block(branches=block.branches[::-1]),
        "absent branch kept": with_block(branches=(*block.branches, Branch("k5", 0))),
        "unknown branch": with_block(branches=(*block.branches, Branch("k9", 4))),
        "twice one branch": with_block(branches=(block.branches[0], *block.branches)),
        "family": with_block(family="dense"),
        "empty block kept": replace(mine, stages=(Stage((Block("inception", ()),)), *mine.stages[1:])),
    }


def foreign_space() -> tuple[Space, Architecture]:
    branches = {
        "k1": {"width": [0, 4]},
        "k3": {"width": [0, 4], "reduction": ["none", 0.5], "factorization": ["full", "stacked"]},
        "k5": {"width": [0, 4]},
    }
    space = parse_space(mapping(branches, branches, depth=[1, 2]), INPUT, 2)
    block = Block("inception", (Branch("k1", 4), Branch("k3", 4, reduction=0.5)))
    return space, Architecture(INPUT, 2, Stem(4), (Stage((block,)), Stage(())))


@pytest.mark.parametrize("kind", foreigners(foreign_space()[1]))
def test_foreign_architectures_are_not_contained(kind: str) -> None:
    space, mine = foreign_space()
    assert space.contains(mine)
    foreign = foreigners(mine)[kind]
    assert not space.contains(foreign)
    with pytest.raises(SpaceError):
        space.mutate(foreign, random.Random(0))


def test_errors_of_membership_name_the_path() -> None:
    space, mine = foreign_space()
    with pytest.raises(SpaceError, match=r"a choice must be one of \[0, 4\], got 5 at stage0\.block0\.k3\.width"):
        space.assignments(foreigners(mine)["width"])
    with pytest.raises(SpaceError, match=r"got 0\.75 at stage0\.block0\.k3\.reduction"):
        space.assignments(foreigners(mine)["ratio"])
    with pytest.raises(SpaceError, match=r"depth must be one of \[0, 1, 2\], got 3 at stage0"):
        space.assignments(foreigners(mine)["too deep"])


def test_one_path_has_one_list_of_options() -> None:
    space = large()
    lists: dict[str, tuple[Value, ...]] = {}
    for seed in range(200):
        chooser = ReplayChooser({}, RandomChooser(random.Random(seed)))
        space.sample(chooser)
        for path, options in chooser.met.items():
            assert len(options) >= 2
            assert lists.setdefault(path, options) == options
    assert lists["stage1.block0.k5.reduction"] == ("none", 0.25, 0.5)
    assert lists["stage1.block0.k5.width"] == (0, 4, 8, 12, 16)
    assert lists["stem.width"] == (4, 8, 16)
    assert "stem.kernel" not in lists  # one option is no choice


def test_widths_strides_and_depths_are_asked_as_integers_and_the_rest_as_options() -> None:
    asked: dict[str, set[str]] = {"integer": set(), "option": set()}

    class Recorder(RandomChooser):
        def integer(self, path: str, options: tuple[int, ...]) -> int:
            asked["integer"].add(path.rsplit(".", 1)[1])
            return super().integer(path, options)

        def option(self, path: str, options: tuple[Value, ...]) -> Value:
            asked["option"].add(path.rsplit(".", 1)[1])
            return super().option(path, options)

    for seed in range(20):
        large().sample(Recorder(random.Random(seed)))
    assert asked == {"integer": {"width", "stride", "depth"}, "option": {"reduction", "factorization", "pool"}}


def broken(*path: Any, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path
        target: Any = document
        for step in parents:
            target = target[step]
        target[last] = value

    return change


BLOCK = ("stages", 0, "block")
K3 = (*BLOCK, "branches", "k3")


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (broken("stagez", value=1), r"space must have .*, got also \['stagez'\]"),
        (broken("stages", value=[]), r"stages must be a list of at least one stage, got \[\]"),
        (broken("stages", value={"depth": 1}), "stages must be a list of at least one stage"),
        (broken("stages", 0, value=3), "a mapping must stand at stage0, got 3"),
        (broken("stages", 0, "depht", value=1), r"stage0 must have .*, got also \['depht'\]"),
        (broken("stages", 0, "depth", value=-1), r"options must be integers >= 0, got \[-1\] at stage0\.depth"),
        (broken("stages", 0, "reduction", value="min"), r"an option must be one of .*, got 'min' at stage0\.reduction"),
        (broken(*BLOCK, value=None), r"a mapping must stand at stage0\.block, got None"),
        (broken(*BLOCK, "family", value="dense"), r"family must be one of .*, got 'dense' at stage0\.block\.family"),
        (broken(*BLOCK, "family", value=["inception"]), r"family must be one of .* at stage0\.block\.family"),
        (broken(*BLOCK, "branches", value={}), r"at least one branch of .*, got none at stage0\.block\.branches"),
        (broken(*BLOCK, "branches", "k9", value={"width": 1}), r"stage0\.block\.branches must have .*'k9'"),
        (broken(*K3, value=8), r"a mapping must stand at stage0\.block\.k3, got 8"),
        (broken(*K3, "widht", value=8), r"stage0\.block\.k3 must have .*, got also \['widht'\]"),
        (broken(*K3, "width", value=[]), r"at least one option must stand at stage0\.block\.k3\.width, got none"),
        (broken(*K3, "width", value=[8, 4]), r"options must ascend, got \[8, 4\] at stage0\.block\.k3\.width"),
        (broken(*K3, "width", value=[4, 4]), r"options must ascend, got \[4, 4\]"),
        (broken(*K3, "width", value=[4, 4.5]), r"options must be integers >= 0, got \[4, 4\.5\]"),
        (broken(*K3, "width", value=[True]), r"options must be integers >= 0, got \[True\]"),
        (broken(*K3, "width", value="8"), r"options must be integers >= 0, got \['8'\]"),
        (broken(*K3, "width", value={"low": 1}), r"a range must have low, high and perhaps step, got \['low'\]"),
        (broken(*K3, "width", value={"low": 1, "high": 4, "stp": 1}), "a range must have low, high and perhaps step"),
        (broken(*K3, "width", value={"low": 0, "high": 7, "step": 4}), "a range must go from low to high in whole"),
        (broken(*K3, "width", value={"low": 8, "high": 4}), "low=8 high=4 step=1 at stage0.block.k3.width"),
        (broken(*K3, "width", value={"low": 0, "high": 4, "step": 0}), "a range must go from low to high in whole"),
        (broken(*K3, "reduction", value=[0.5, 1.5]), r"or a ratio in \(0, 1\], got 1\.5 at stage0\.block\.k3\.reduct"),
        (broken(*K3, "reduction", value=[0.5, 0.5]), r"options must differ, got \[0\.5, 0\.5\]"),
        (broken(*K3, "reduction", value=[1, True]), "an option must be one of .*, got True"),
        (broken(*K3, "factorization", value="fully"), r"got 'fully' at stage0\.block\.k3\.factorization"),
        (broken(*K3, "factorization", value=[["full"]]), r"got \['full'\] at stage0\.block\.k3\.factorization"),
        (broken(*BLOCK, "branches", "k1", value={"width": 4, "reduction": 0.5}), r"got also \['reduction'\]"),
        (
            broken(*BLOCK, "branches", "pool", value={"width": 4, "pool": "sum"}),
            r"got 'sum' at stage0\.block\.pool\.po",
        ),
        (broken("stem", value=8), "a mapping must stand at stem, got 8"),
        (broken("stem", "width", value=0), r"options must be integers >= 1, got \[0\] at stem\.width"),
        (broken("stem", "kernel", value=[3, 4]), r"kernel must be odd, got \[3, 4\] at stem\.kernel"),
        (broken("stem", "stride", value=0), r"options must be integers >= 1, got \[0\] at stem\.stride"),
        (broken("dropout", value=1.0), r"dropout must lie in \[0, 1\), got 1\.0"),
        (broken("dropout", value="much"), r"dropout must lie in \[0, 1\), got 'much'"),
    ],
)
def test_a_space_that_cannot_be_is_refused_with_its_path(change: Callable[[dict[str, Any]], None], law: str) -> None:
    document = mapping({"k3": {"width": [0, 4]}})
    change(document)
    with pytest.raises(SpaceError, match=law):
        parse_space(document, INPUT, 2)


def test_a_space_needs_two_classes() -> None:
    with pytest.raises(SpaceError, match="classes must be >= 2, got 1"):
        parse_space(mapping({"k3": {"width": 4}}), INPUT, 1)


def test_ranges_include_both_ends() -> None:
    space = parse_space(mapping({"k1": {"width": {"low": 2, "high": 8, "step": 3}}}), INPUT, 2)
    assert sorted(a.stages[0].blocks[0].branches[0].width for a in every_sample(space)) == [2, 5, 8]


def test_every_option_is_drawn_about_equally_often() -> None:
    space = parse_space(mapping({"k1": {"width": [4, 8, 12]}}), INPUT, 2)
    generator = random.Random(1)
    widths = [space.draw(generator).stages[0].blocks[0].branches[0].width for _ in range(900)]
    assert all(240 < len(list(group)) < 360 for _, group in itertools.groupby(sorted(widths)))


def likelihoods(space: Space) -> dict[Architecture, float]:
    """Return the probability of each architecture if every choice is uniform among its options."""
    script: list[int] = []
    found: dict[Architecture, float] = {}
    while True:
        chooser = ScriptedChooser(script)
        architecture = space.sample(chooser)
        arities = [len(options) for _, options in chooser.met]
        found[architecture] = found.get(architecture, 0.0) + 1 / math.prod(arities)
        script = following(script, arities)
        if not script:
            return found


@pytest.mark.parametrize("name", SMALL)
def test_a_draw_is_as_likely_as_its_choices(name: str) -> None:
    space, generator, count = parse_space(SMALL[name], INPUT, 2), random.Random(2), 4000
    drawn = Counter(space.draw(generator) for _ in range(count))
    likely = likelihoods(space)
    assert set(drawn) <= set(likely)
    for architecture, share in likely.items():
        assert abs(drawn[architecture] - count * share) <= 5 * math.sqrt(count * share) + 3
