"""The domain of a search: which architectures there are, how one is drawn, and how many there are."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from search_space.architecture import REDUCTIONS, Architecture, Stage, Stem
from search_space.blocks import FAMILIES, BlockDomain, family
from search_space.choices import (
    Chooser,
    FirstChooser,
    Nominal,
    Ordinal,
    RandomChooser,
    ReplayChooser,
    SpaceError,
    Value,
    parse_fields,
    parse_nominal,
    parse_ordinal,
)
from search_space.graph import Shape
from search_space.lowering import normalise

MUTATION_TRIES = 100
POSITION = re.compile(r"(?<=\bstage)\d+|(?<=\bblock)\d+")


@final
@dataclass(frozen=True)
class StemDomain:
    """What the stem may be."""

    width: Ordinal
    kernel: Ordinal
    stride: Ordinal

    @property
    def size(self) -> int:
        """Number of stems."""
        return len(self.width.options) * len(self.kernel.options) * len(self.stride.options)

    def sample(self, chooser: Chooser) -> Stem:
        """A stem."""
        return Stem(
            self.width.draw(chooser, "stem.width"),
            self.kernel.draw(chooser, "stem.kernel"),
            self.stride.draw(chooser, "stem.stride"),
        )

    def assignments(self, stem: Stem) -> dict[str, Value]:
        """The choices that make `stem`; SpaceError where one is not offered."""
        return (
            _assigned("stem.width", stem.width, self.width.options)
            | _assigned("stem.kernel", stem.kernel, self.kernel.options)
            | _assigned("stem.stride", stem.stride, self.stride.options)
        )


@final
@dataclass(frozen=True)
class StageDomain:
    """What one stage may be: its depth, its grid reduction, and every block of it alike."""

    depth: Ordinal
    reduction: Nominal
    block: BlockDomain

    @property
    def depths(self) -> tuple[int, ...]:
        """Depths that a normalised stage may have: any up to the largest where a block may turn out empty."""
        deepest = self.depth.options[-1]
        return tuple(range(deepest + 1)) if self.block.may_be_empty else self.depth.options

    @property
    def size(self) -> int:
        """Number of normalised stages."""
        return len(self.reduction.options) * sum(int(self.block.size**depth) for depth in self.depths)

    def sample(self, chooser: Chooser, path: str) -> Stage:
        """A stage, not yet normalised."""
        reduction = str(self.reduction.draw(chooser, f"{path}.reduction"))
        depth = self.depth.draw(chooser, f"{path}.depth")
        return Stage(tuple(self.block.sample(chooser, f"{path}.block{i}") for i in range(depth)), reduction)

    def assignments(self, stage: Stage, path: str) -> dict[str, Value]:
        """The choices that make a normalised `stage`; SpaceError where one is not offered."""
        filled = len(stage.blocks)
        if filled not in self.depths:
            raise SpaceError(f"depth must be one of {list(self.depths)}, got {filled} at {path}")
        depth = next(d for d in self.depth.options if d >= filled)
        chosen: dict[str, Value] = {f"{path}.depth": depth}
        chosen |= _assigned(f"{path}.reduction", stage.reduction, self.reduction.options)
        for index in range(depth):
            block = stage.blocks[index] if index < filled else None
            chosen |= self.block.assignments(block, f"{path}.block{index}")
        return chosen


def _assigned(path: str, value: Value, options: tuple[Value, ...]) -> dict[str, Value]:
    if value not in options:
        raise SpaceError(f"a choice must be one of {list(options)}, got {value!r} at {path}")
    return {path: value}


@final
@dataclass(frozen=True)
class Space:
    """All architectures that a search may try, for images of one shape and a number of classes.

    Attributes:
        name: names studies.
        input: shape of one image.
        classes: number of classes, at least 2.
        stem: what the stem may be.
        stages: what each stage may be.
        dropout: rate of the dropout before the classifier; not searched.
    """

    name: str
    input: Shape
    classes: int
    stem: StemDomain
    stages: tuple[StageDomain, ...]
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise SpaceError(f"classes must be >= 2, got {self.classes}")
        if not 0 <= self.dropout < 1:
            raise SpaceError(f"dropout must lie in [0, 1), got {self.dropout}")

    @property
    def size(self) -> int:
        """Exact number of normalised architectures, by closed form."""
        return math.prod((self.stem.size, *(stage.size for stage in self.stages)))

    def sample(self, chooser: Chooser) -> Architecture:
        """A normalised architecture, every choice made by `chooser` under its path."""
        stages = tuple(stage.sample(chooser, f"stage{i}") for i, stage in enumerate(self.stages))
        return normalise(Architecture(self.input, self.classes, self.stem.sample(chooser), stages, self.dropout))

    def draw(self, generator: random.Random) -> Architecture:
        """A random normalised architecture: every choice uniform among its options."""
        return self.sample(RandomChooser(generator))

    def assignments(self, architecture: Architecture) -> dict[str, Value]:
        """The choices, by path, that make a normalised architecture.

        Raises:
            SpaceError: it is not of this space; the message names the path.
        """
        mine = (self.input, self.classes, len(self.stages), self.dropout)
        given = (architecture.input, architecture.classes, len(architecture.stages), architecture.dropout)
        if mine != given:
            raise SpaceError(f"input, classes, number of stages and dropout must be {mine}, got {given}")
        chosen = self.stem.assignments(architecture.stem)
        for index, (domain, stage) in enumerate(zip(self.stages, architecture.stages, strict=True)):
            chosen |= domain.assignments(stage, f"stage{index}")
        if self.sample(ReplayChooser(chosen, FirstChooser())) != architecture:
            raise SpaceError(f"an architecture must be normalised, got {architecture.to_json()}")
        return chosen

    def contains(self, architecture: Architecture) -> bool:
        """Whether this very architecture, normalised as it stands, can be drawn from this space."""
        try:
            self.assignments(architecture)
        except SpaceError:
            return False
        return True

    def mutate(self, architecture: Architecture, generator: random.Random) -> Architecture:
        """Another architecture of the space that differs in one choice, and in what hangs on it.

        Raises:
            SpaceError: `architecture` is not of this space, or no single choice leads to another one.
        """
        chosen = self.assignments(architecture)
        options = self._options(chosen)
        if not options:
            raise SpaceError(f"a mutation needs a choice, {self.name} has none")
        for _ in range(MUTATION_TRIES):
            path = generator.choice(sorted(options))
            others = [option for option in options[path] if option != chosen[path]]
            replay = ReplayChooser({**chosen, path: generator.choice(others)}, RandomChooser(generator))
            mutant = self.sample(replay)
            if mutant != architecture:
                return mutant
        raise SpaceError(f"a mutation must find another architecture, found none of {architecture.id} in {self.name}")

    def _options(self, chosen: Mapping[str, Value]) -> dict[str, tuple[Value, ...]]:
        """What could be chosen at every path that is met on the way to the architecture of `chosen`."""
        replay = ReplayChooser(chosen, FirstChooser())
        self.sample(replay)
        return replay.met

    def minimise(self, measure: Callable[[Architecture], float]) -> Architecture:
        """The architecture where neither a change of one choice nor the same change in every block lowers `measure`.

        The descent starts from the first option everywhere. A peak of memory falls only once all blocks that reach it
        have changed, hence the changes in every block; they are all combinations of the choices of one branch.
        """
        best = self.sample(FirstChooser())
        least = measure(best)
        improved = True
        while improved:
            improved = False
            chosen = self.assignments(best)
            for change in _changes(self._options(chosen)):
                candidate = self.sample(ReplayChooser({**chosen, **change}, FirstChooser()))
                value = measure(candidate)
                if value < least:
                    best, least, improved = candidate, value, True
        return best


def _changes(options: Mapping[str, tuple[Value, ...]]) -> Iterator[dict[str, Value]]:
    """Every choice alone, then all choices of one branch together and alike in every block."""
    groups: dict[str, dict[str, list[str]]] = {}
    for path in sorted(options):
        yield from ({path: option} for option in options[path])
        branch, _, choice = POSITION.sub("", path).rpartition(".")
        groups.setdefault(branch, {}).setdefault(choice, []).append(path)
    for choices in groups.values():
        offered = [dict.fromkeys(option for path in paths for option in options[path]) for paths in choices.values()]
        for taken in itertools.product(*offered):
            alike = zip(choices.values(), taken, strict=True)
            yield {path: option for paths, option in alike for path in paths if option in options[path]}


def parse_space(mapping: Mapping[str, Any], input_shape: Shape, classes: int) -> Space:
    """The space that a parsed mapping describes.

    Args:
        mapping: `{name, stem: {width, kernel, stride}, stages: [{depth, reduction, block}], dropout}`. A number to
            choose is an integer, a list of ascending ones or `{low, high, step}`; a word to choose is a word or a
            list.
        input_shape: shape of one image.
        classes: number of classes.

    Raises:
        SpaceError: a key or an option that there is not; the message names the path.
    """
    fields = parse_fields(mapping, "space", ["name", "stem", "stages"], ["dropout"])
    stem = parse_fields(fields["stem"], "stem", ["width"], ["kernel", "stride"])
    if not isinstance(fields["stages"], list | tuple) or not fields["stages"]:
        raise SpaceError(f"stages must be a list of at least one stage, got {fields['stages']!r}")
    kernel = parse_ordinal(stem.get("kernel", 3), "stem.kernel", least=1)
    if any(side % 2 == 0 for side in kernel.options):
        raise SpaceError(f"kernel must be odd, got {list(kernel.options)} at stem.kernel")
    return Space(
        str(fields["name"]),
        input_shape,
        classes,
        StemDomain(
            parse_ordinal(stem["width"], "stem.width", least=1),
            kernel,
            parse_ordinal(stem.get("stride", 1), "stem.stride", least=1),
        ),
        tuple(_parse_stage(stage, f"stage{index}") for index, stage in enumerate(fields["stages"])),
        _parse_dropout(fields.get("dropout", 0.0)),
    )


def _parse_dropout(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpaceError(f"dropout must lie in [0, 1), got {value!r}")
    return float(value)


def _parse_stage(value: object, path: str) -> StageDomain:
    fields = parse_fields(value, path, ["depth", "block"], ["reduction"])
    block = fields["block"]
    name = block.get("family", "inception") if isinstance(block, Mapping) else "inception"
    if not isinstance(name, str) or name not in FAMILIES:
        raise SpaceError(f"a block family must be one of {sorted(FAMILIES)}, got {name!r} at {path}.block.family")
    return StageDomain(
        parse_ordinal(fields["depth"], f"{path}.depth", least=0),
        parse_nominal(fields.get("reduction", "none"), f"{path}.reduction", REDUCTIONS),
        family(name).parse(block, f"{path}.block"),
    )
