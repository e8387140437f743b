"""Families whose choices are the fields of a frozen dataclass: most of the literature's blocks.

Such a family is one class: its fields are the choices, its `lower` is the block's expression, and a block of a
published network is an instance with the published numbers. Each field is declared by `width`, `count`, `option` or
`fraction`, which say what values it may take.
"""

from __future__ import annotations

import dataclasses
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar, cast, final

from search_space.architecture import Block, Branch
from search_space.blocks.family import Family
from search_space.blocks.units import Units
from search_space.choices import (
    Choice,
    Chooser,
    Nominal,
    Parameter,
    SpaceError,
    Value,
    assigned,
    parse_fields,
    parse_nominal,
    parse_ordinal,
)
from search_space.graph import Node
from search_space.leaves import check
from search_space.limits import shown

Declared = Mapping[str, dataclasses.Field[Any]]


def width(default: int | None = None, *, least: int = 1) -> Any:
    """Declare a number of channels, at least `least`; a projection scales it where it makes a network narrower."""
    metadata = {"least": least, "channels": True}
    return (
        dataclasses.field(metadata=metadata)
        if default is None
        else dataclasses.field(default=default, metadata=metadata)
    )


def count(default: int) -> Any:
    """Declare a number that counts something other than channels, at least 1."""
    return dataclasses.field(default=default, metadata={"least": 1})


def option(*allowed: Value, fractions: bool = False) -> Any:
    """Declare one of `allowed`, the first by default; with `fractions` also a number in (0, 1]."""
    metadata = {"allowed": allowed, "fraction": True} if fractions else {"allowed": allowed}
    return dataclasses.field(default=allowed[0], metadata=metadata)


def fraction(default: float) -> Any:
    """Declare a number in (0, 1]."""
    return dataclasses.field(default=default, metadata={"fraction": True})


@dataclass(frozen=True, slots=True)
class BlockFields(ABC):
    """Choices of one block of a family.

    Attributes:
        NAME: name of the family, for one of our own; one from outside is named by its dotted path.
        REDUCES: whether the block halves height and width.
    """

    NAME: ClassVar[str] = ""
    REDUCES: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            value, meta = getattr(self, entry.name), entry.metadata
            where = f"got {shown(value)} at {self.NAME or type(self).__name__}.{entry.name}"
            if "least" in meta:
                law = isinstance(value, int) and not isinstance(value, bool) and value >= meta["least"]
                check(law, f"a width or count must be an integer >= {meta['least']}, {where}")
            elif "fraction" not in meta:
                check(value in meta["allowed"], f"a choice must be one of {list(meta['allowed'])}, {where}")
            elif value not in meta.get("allowed", ()):
                check(isinstance(value, int | float) and 0 < value <= 1, f"a ratio must lie in (0, 1], {where}")

    @abstractmethod
    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return the block as an expression.

        Args:
            channels: number of input channels, at least 1.
            units: makes the convolutions and pools.
            name: name of the expression.
        """

    def branches(self) -> tuple[Branch, ...] | None:
        """Return the nearest branches of the searchable family, None if none are near.

        They keep width, reduction and receptive field. Two branches of one side become one of their common width.
        """
        return None

    def settings(self) -> dict[str, Value]:
        """Return the fields that differ from their defaults."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {e.name: values[e.name] for e in dataclasses.fields(self) if values[e.name] != e.default}


def reduction(reduce: int, out: int) -> float:
    """Return the width of a 1×1 in front of a convolution as a share of the convolution's width, at most 1."""
    return min(1.0, reduce / out)


def declared(kind: type[BlockFields]) -> Declared:
    """Return the fields of a family by name."""
    return {entry.name: entry for entry in dataclasses.fields(kind)}


def read(kind: type[BlockFields], block: Block) -> BlockFields:
    """Return the fields that a block was made with.

    Raises:
        SpaceError: the block has branches, or a field is missing, unknown or out of range.
    """
    entries = declared(kind)
    needed = {name for name, entry in entries.items() if entry.default is dataclasses.MISSING}
    given = dict(block.settings)
    if block.branches or set(given) - set(entries) or needed - set(given):
        raise SpaceError(
            f"a block of {block.family} has no branches and the settings {sorted(entries)}, of which it needs "
            f"{sorted(needed)}; got {sorted(given)}"
        )
    numbers = {name for name, entry in entries.items() if "fraction" in entry.metadata}
    try:
        return kind(**{n: float(v) if n in numbers and not isinstance(v, str) else v for n, v in given.items()})
    except ValueError as error:
        raise SpaceError(str(error)) from error


def normalise(kind: type[BlockFields], block: Block) -> Block:
    """Return the block with its settings in the family's order and without those that have their default."""
    return Block(block.family, (), tuple(read(kind, block).settings().items()))


@cache
def lower(kind: type[BlockFields], block: Block, channels: int, name: str) -> Node:
    """Return the expression of a block, in the units that a search uses."""
    return read(kind, block).lower(channels, Units(), name)


def targets(kind: type[BlockFields], block: Block, multiplier: float) -> dict[str, Value]:
    """Return a block's fields by name, numbers of channels times `multiplier`."""
    fields = read(kind, block)
    values: dict[str, Value] = {name: getattr(fields, name) for name in declared(kind)}
    for name, entry in declared(kind).items():
        value = values[name]
        if "channels" in entry.metadata and not isinstance(value, str):
            values[name] = value * multiplier
    return values


def branches(kind: type[BlockFields], block: Block) -> tuple[Branch, ...] | None:
    """Return the nearest branches of the searchable family, None if none are near."""
    return read(kind, block).branches()


@final
@dataclass(frozen=True)
class FieldsDomain:
    """Domain of one block of a fields family.

    Attributes:
        kind: class of the family.
        name: name of the family in the space.
        choices: options of every field, in the order of the fields.
    """

    kind: type[BlockFields]
    name: str
    choices: tuple[tuple[str, Choice], ...]

    @property
    def may_be_empty(self) -> bool:
        """Always False: a block of fields is never empty."""
        return False

    @property
    def size(self) -> int:
        """Number of blocks: the product over the fields."""
        return math.prod(len(choice.options) for _, choice in self.choices)

    def sample(self, chooser: Chooser, path: str) -> Block:
        """Return a block whose choices `chooser` makes, not yet normalised."""
        return Block(self.name, (), tuple((n, c.draw(chooser, f"{path}.{n}")) for n, c in self.choices))

    def draw(self, generator: random.Random) -> Block:
        """Return a normalised block, uniform over all: no choice depends on another."""
        return normalise(self.kind, self.uniform(generator))

    def uniform(self, generator: random.Random) -> Block:
        """Return a block, uniform over all."""
        return Block(self.name, (), tuple((n, generator.choice(c.options)) for n, c in self.choices))

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Return every choice that `sample` may ask for, in order."""
        return tuple(Parameter(f"{path}.{name}", choice) for name, choice in self.choices)

    def assignments(self, block: Block | None, path: str) -> dict[str, Value]:
        """Return the choices that make a normalised `block`.

        Raises:
            SpaceError: the block is not of this domain.
        """
        if block is None or block.family != self.name:
            raise SpaceError(f"a block must be of the family {self.name}, got {block} at {path}")
        fields = read(self.kind, block)
        chosen: dict[str, Value] = {}
        for name, choice in self.choices:
            chosen |= assigned(f"{path}.{name}", getattr(fields, name), choice.options)
        return chosen


def parse(kind: type[BlockFields], mapping: Mapping[str, Any], path: str) -> FieldsDomain:
    """Return the domain of a mapping `{family, FIELD: options, ...}`; a field left out has its default.

    Raises:
        SpaceError: a key or an option is unknown, or a key is missing.
    """
    entries = declared(kind)
    needed = [name for name, entry in entries.items() if entry.default is dataclasses.MISSING]
    given = parse_fields(mapping, path, needed, ["family", *entries])
    return FieldsDomain(kind, given.get("family", kind.NAME), parse_choices(entries, given, path))


def parse_choices(entries: Declared, given: Mapping[str, Any], path: str) -> tuple[tuple[str, Choice], ...]:
    """Return the options of each declared field, the default alone if none are given.

    Raises:
        SpaceError: an option is not among the values that the field may take.
    """
    return tuple(
        (name, _parse_choice(entry.metadata, given[name], f"{path}.{name}") if name in given else _default(entry))
        for name, entry in entries.items()
    )


def _default(entry: dataclasses.Field[Any]) -> Nominal:
    assert entry.default is not dataclasses.MISSING
    return Nominal((cast(Value, entry.default),))


def _parse_choice(meta: Mapping[str, Any], value: object, path: str) -> Choice:
    if "least" in meta:
        return parse_ordinal(value, path, least=meta["least"])
    return parse_nominal(value, path, meta.get("allowed", ()), ratios="fraction" in meta)


def family_of(kind: type[BlockFields]) -> Family:
    """Return the family whose blocks have the fields of `kind`."""
    return Family(
        normalise=partial(normalise, kind),
        lower=partial(lower, kind),
        parse=partial(parse, kind),
        reduces=kind.REDUCES,
        targets=partial(targets, kind),
        branches=partial(branches, kind),
    )


def families_of(*kinds: type[BlockFields]) -> dict[str, Family]:
    """Return the families of several classes by their names."""
    return {kind.NAME: family_of(kind) for kind in kinds}
