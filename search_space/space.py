"""Search spaces: sets of architectures with their size, their draws and their neighbourhoods."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

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
    parse_ordinal,
)
from search_space.domains import StageDomain, StemDomain, parse_stage, parse_stem
from search_space.graph import Shape
from search_space.limits import LONGEST_NAME, MOST_CHOICES, MOST_CHOSEN, MOST_CLASSES, MOST_PIXELS, MOST_STAGES, shown
from search_space.lowering import normalise

MUTATION_TRIES = 100
COMBINATIONS = 1000  # of one branch's choices that a descent tries together
POSITION = re.compile(r"(?<=\bstage)\d+|(?<=\bblock)\d+")


INTENT = "intent"
"""Key of the images that a space is meant for; it is no choice, and no part of what a study is made with."""


class Intent(NamedTuple):
    """Images that a space is meant for.

    Attributes:
        input: shape of one image.
        classes: number of classes.
    """

    input: Shape
    classes: int

    def suits(self, input_shape: Shape) -> bool:
        """Return whether images of a shape are at least half as large as these, and at most twice."""
        meant, given = (max(shape.height, shape.width) for shape in (self.input, input_shape))
        return meant <= 2 * given and given <= 2 * meant


@final
@dataclass(frozen=True)
class Space:
    """Set of the architectures of a search, for images of one shape and a number of classes.

    Attributes:
        name: name of the space; part of the default name of a study.
        input: shape of one image.
        classes: number of classes, at least 2.
        stem: domain of the stem.
        stages: domain of each stage.
        dropout: rate of the dropout before the classifier, in [0, 1); not searched.
        intent: images that the space is meant for; None if it says none.
    """

    name: str
    input: Shape
    classes: int
    stem: StemDomain
    stages: tuple[StageDomain, ...]
    dropout: float = 0.0
    intent: Intent | None = None

    def __post_init__(self) -> None:
        choices = len(self.parameters)
        if choices > MOST_CHOICES:
            raise SpaceError(f"a space must have at most {MOST_CHOICES} choices, {self.name} has {choices}")
        if self.classes < 2:
            raise SpaceError(f"classes must be >= 2, got {self.classes}")
        if not 0 <= self.dropout < 1:
            raise SpaceError(f"dropout must lie in [0, 1), got {self.dropout}")

    @property
    def size(self) -> int:
        """Exact number of normalised architectures, by closed form."""
        return math.prod((self.stem.size, *(stage.size for stage in self.stages)))

    def sample(self, chooser: Chooser) -> Architecture:
        """Return a normalised architecture whose choices `chooser` makes."""
        stages = tuple(stage.sample(chooser, f"stage{i}") for i, stage in enumerate(self.stages))
        return normalise(Architecture(self.input, self.classes, self.stem.sample(chooser), stages, self.dropout))

    def draw(self, generator: random.Random) -> Architecture:
        """Return a random normalised architecture, every choice uniform among its options."""
        stages = tuple(stage.draw(generator) for stage in self.stages)
        return Architecture(self.input, self.classes, self.stem.draw(generator), stages, self.dropout)

    def uniform(self, generator: random.Random) -> Architecture:
        """Return a random normalised architecture, uniform over the space."""
        stages = tuple(stage.uniform(generator) for stage in self.stages)
        return normalise(Architecture(self.input, self.classes, self.stem.uniform(generator), stages, self.dropout))

    def architectures(self) -> Iterator[Architecture]:
        """Yield every normalised architecture once, in a fixed order; there are `size` of them, so for small spaces.

        Raises:
            SpaceError: all combinations have more than `MOST_CHOSEN` choices.
        """
        chosen = 0
        chooser, seen = CountingChooser(), set()
        more = True
        while more:
            chooser.begin()
            architecture = self.sample(chooser)
            if architecture not in seen:  # different choices may have one normal form
                seen.add(architecture)
                yield architecture
            chosen += chooser.count
            if chosen > MOST_CHOSEN:
                law = f"a space to enumerate must have at most {MOST_CHOSEN} choices in all of its combinations"
                raise SpaceError(f"{law}, {self.name} has more")
            more = chooser.advance()

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every choice with at least two options, in a fixed order."""
        stages = (p for i, stage in enumerate(self.stages) for p in stage.parameters(f"stage{i}"))
        return tuple(p for p in (*self.stem.parameters(), *stages) if len(p.choice.options) > 1)

    def assignments(self, architecture: Architecture) -> dict[str, Value]:
        """Return the choices, by path, that make a normalised architecture.

        Raises:
            SpaceError: the architecture is not of this space; the message names the path.
        """
        chosen = self.choices(architecture)
        if self.sample(ReplayChooser(chosen, FirstChooser())) != architecture:
            raise SpaceError(f"an architecture must be normalised, got {architecture.to_json()}")
        return chosen

    def choices(self, architecture: Architecture) -> dict[str, Value]:
        """Return the choices, by path, that make a normalised architecture, without a check that it is normalised.

        Raises:
            SpaceError: a choice is not of this space; the message names the path.
        """
        mine = (self.input, self.classes, len(self.stages), self.dropout)
        given = (architecture.input, architecture.classes, len(architecture.stages), architecture.dropout)
        if mine != given:
            raise SpaceError(f"input, classes, number of stages and dropout must be {mine}, got {given}")
        chosen = self.stem.assignments(architecture.stem)
        for index, (domain, stage) in enumerate(zip(self.stages, architecture.stages, strict=True)):
            chosen |= domain.assignments(stage, f"stage{index}")
        return chosen

    def contains(self, architecture: Architecture) -> bool:
        """Return whether an architecture is normalised and of this space."""
        try:
            self.assignments(architecture)
        except SpaceError:
            return False
        return True

    def mutate(self, architecture: Architecture, generator: random.Random) -> Architecture:
        """Return a random architecture of the space that differs in one choice and in those that depend on it.

        Raises:
            SpaceError: `architecture` is not of this space, or no single choice makes another one.
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
        """Return all architectures that differ in one choice; those that depend on it take their first option.

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
        """Return the options of every choice that makes the architecture of `chosen`."""
        replay = ReplayChooser(chosen, FirstChooser())
        self.sample(replay)
        return replay.met

    def minimise(self, measure: Callable[[Architecture], float], *, combined: bool = True) -> Architecture:
        """Return an architecture of low `measure`, by coordinate descent from the first option of each choice.

        At the result neither a change of one choice nor the same change in every block lowers `measure`. A peak of
        memory falls only when all blocks that reach it have changed, hence the changes in every block: all combinations
        of the choices of one branch.

        Args:
            measure: function to minimise, such as a cost.
            combined: whether to try the changes in every block too; without them it takes a fraction of the time.
        """
        best = self.sample(FirstChooser())
        least = measure(best)
        improved = True
        while improved:
            improved = False
            chosen = self.assignments(best)
            for change in _changes(self._options(chosen), combined=combined):
                candidate = self.sample(ReplayChooser({**chosen, **change}, FirstChooser()))
                value = measure(candidate)
                if value < least:
                    best, least, improved = candidate, value, True
        return best


def _changes(options: Mapping[str, tuple[Value, ...]], *, combined: bool) -> Iterator[dict[str, Value]]:
    """Yield every change of one choice, then, if combined, those of all choices of one branch, alike in every block."""
    groups: dict[str, dict[str, list[str]]] = {}
    for path in sorted(options):
        yield from ({path: option} for option in options[path])
        branch, _, choice = POSITION.sub("", path).rpartition(".")
        groups.setdefault(branch, {}).setdefault(choice, []).append(path)
    for choices in groups.values() if combined else ():
        if math.prod(len(options[paths[0]]) for paths in choices.values()) > COMBINATIONS:
            yield from _changes_of_one(choices, options)
            continue
        offered = [dict.fromkeys(option for path in paths for option in options[path]) for paths in choices.values()]
        for combination in itertools.product(*offered):
            pairs = list(zip(choices.values(), combination, strict=True))
            yield {path: option for paths, option in pairs for path in paths if option in options[path]}


def _changes_of_one(
    choices: Mapping[str, list[str]], options: Mapping[str, tuple[Value, ...]]
) -> Iterator[dict[str, Value]]:
    """Yield every change of one choice of a branch, the same in every block: for too many combinations."""
    for paths in choices.values():
        for option in dict.fromkeys(option for path in paths for option in options[path]):
            yield {path: option for path in paths if option in options[path]}


def parse_space(mapping: Mapping[str, Any], input_shape: Shape, classes: int) -> Space:
    """Return the space of a mapping, such as a parsed YAML file of `conf/space`.

    Args:
        mapping: `{name, stem: {width, kernel, stride, kind}, stages: [STAGE, ...], dropout, intent: {input, classes}}`.
            A stage is `{depth, block, reduction, grid, auxiliary}`, or has `blocks`, one a position, instead of depth
            and block. Options of a number are an integer, a list of ascending ones or `{low, high, step}`; options of a
            word are a word or a list.
        input_shape: shape of one image.
        classes: number of classes, at least 2.

    Raises:
        SpaceError: a key or an option is unknown, or a key is missing; the message names the path.
        PluginError: a block family named by its dotted path can't be used.
    """
    fields = parse_fields(mapping, "space", ["name", "stem", "stages"], ["dropout", INTENT])
    stages, name = fields["stages"], fields["name"]
    if not isinstance(stages, list | tuple) or not stages:
        raise SpaceError(f"stages must be a list of at least one stage, got {shown(stages)}")
    if len(stages) > MOST_STAGES:
        raise SpaceError(f"stages must be at most {MOST_STAGES}, got {len(stages)}")
    if not isinstance(name, str | int | float) or not 1 <= len(str(name)) <= LONGEST_NAME:
        raise SpaceError(f"name must have 1 to {LONGEST_NAME} characters, got {shown(name)}")
    return Space(
        str(name),
        input_shape,
        classes,
        parse_stem(fields["stem"]),
        tuple(parse_stage(stage, f"stage{index}") for index, stage in enumerate(stages)),
        _parse_dropout(fields.get("dropout", 0.0)),
        intent_of(fields),
    )


def intent_of(mapping: Mapping[str, Any]) -> Intent | None:
    """Return the images that the mapping of a space says that it is meant for, None if it says none.

    Raises:
        SpaceError: they are not a shape and a number of classes.
    """
    if mapping.get(INTENT) is None:
        return None
    fields = parse_fields(mapping[INTENT], INTENT, ["input", "classes"])
    extents = fields["input"]
    if not isinstance(extents, list | tuple) or len(extents) != 3:
        raise SpaceError(f"input must be [channels, height, width], got {shown(extents)} at {INTENT}")
    for extent in extents:
        parse_ordinal(extent, f"{INTENT}.input", least=1, most=MOST_PIXELS)
    parse_ordinal(fields["classes"], f"{INTENT}.classes", least=2, most=MOST_CLASSES)
    return Intent(Shape(*extents), fields["classes"])


def without_intent(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of a space without the images that it is meant for: what a study is made with."""
    return {key: value for key, value in mapping.items() if key != INTENT}


def _parse_dropout(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise SpaceError(f"dropout must lie in [0, 1), got {shown(value)}")
    return float(value)
