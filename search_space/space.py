"""The domain of a search: which architectures there are, how one is drawn, and how many there are."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from search_space.architecture import Architecture
from search_space.choices import (
    Chooser,
    CountingChooser,
    FirstChooser,
    Parameter,
    RandomChooser,
    ReplayChooser,
    SpaceError,
    Value,
    parse_fields,
)
from search_space.domains import StageDomain, StemDomain, parse_stage, parse_stem
from search_space.graph import Shape
from search_space.lowering import normalise

MUTATION_TRIES = 100
COMBINATIONS = 1000  # of one branch's choices that a descent tries together
POSITION = re.compile(r"(?<=\bstage)\d+|(?<=\bblock)\d+")


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
        stages = tuple(stage.draw(generator) for stage in self.stages)
        return Architecture(self.input, self.classes, self.stem.draw(generator), stages, self.dropout)

    def uniform(self, generator: random.Random) -> Architecture:
        """A random normalised architecture, each with the same chance."""
        stages = tuple(stage.uniform(generator) for stage in self.stages)
        return normalise(Architecture(self.input, self.classes, self.stem.uniform(generator), stages, self.dropout))

    def architectures(self) -> Iterator[Architecture]:
        """Every normalised architecture once, `size` of them in a fixed order: for spaces that are small enough."""
        chooser, seen = CountingChooser(), set()
        more = True
        while more:
            chooser.begin()
            architecture = self.sample(chooser)
            if architecture not in seen:  # several ways to choose may have one normal form
                seen.add(architecture)
                yield architecture
            more = chooser.advance()

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every choice that may be asked for, in a fixed order: paths with at least two options."""
        stages = (p for i, stage in enumerate(self.stages) for p in stage.parameters(f"stage{i}"))
        return tuple(p for p in (*self.stem.parameters(), *stages) if len(p.choice.options) > 1)

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

    def neighbours(self, architecture: Architecture) -> tuple[Architecture, ...]:
        """All other architectures of the space that differ in one choice; what hangs on it takes its first option.

        Raises:
            SpaceError: `architecture` is not of this space.
        """
        chosen = self.assignments(architecture)
        found: dict[Architecture, None] = {}
        for path, options in self._options(chosen).items():
            for option in options:
                found[self.sample(ReplayChooser({**chosen, path: option}, FirstChooser()))] = None
        found.pop(architecture, None)
        return tuple(found)

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
        if math.prod(len(options[paths[0]]) for paths in choices.values()) > COMBINATIONS:
            yield from _alike(choices, options)
            continue
        offered = [dict.fromkeys(option for path in paths for option in options[path]) for paths in choices.values()]
        for taken in itertools.product(*offered):
            alike = zip(choices.values(), taken, strict=True)
            yield {path: option for paths, option in alike for path in paths if option in options[path]}


def _alike(choices: Mapping[str, list[str]], options: Mapping[str, tuple[Value, ...]]) -> Iterator[dict[str, Value]]:
    """Each choice of a branch on its own, alike in every block: where the combinations are too many."""
    for paths in choices.values():
        for option in dict.fromkeys(option for path in paths for option in options[path]):
            yield {path: option for path in paths if option in options[path]}


def parse_space(mapping: Mapping[str, Any], input_shape: Shape, classes: int) -> Space:
    """The space that a parsed mapping describes.

    Args:
        mapping: `{name, stem: {width, kernel, stride, kind}, stages: [STAGE, ...], dropout}`. A stage is `{depth,
            block, reduction, grid, auxiliary}`, or has `blocks`, one a position, in the place of depth and block. A
            number to choose is an integer, a list of ascending ones or `{low, high, step}`; a word to choose is a
            word or a list.
        input_shape: shape of one image.
        classes: number of classes.

    Raises:
        SpaceError: a key or an option that there is not; the message names the path.
    """
    fields = parse_fields(mapping, "space", ["name", "stem", "stages"], ["dropout"])
    if not isinstance(fields["stages"], list | tuple) or not fields["stages"]:
        raise SpaceError(f"stages must be a list of at least one stage, got {fields['stages']!r}")
    return Space(
        str(fields["name"]),
        input_shape,
        classes,
        parse_stem(fields["stem"]),
        tuple(parse_stage(stage, f"stage{index}") for index, stage in enumerate(fields["stages"])),
        _parse_dropout(fields.get("dropout", 0.0)),
    )


def _parse_dropout(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpaceError(f"dropout must lie in [0, 1), got {value!r}")
    return float(value)
