"""Block families whose choices are the fields of a frozen dataclass: most of the literature's blocks.

Such a family is one class: its fields are what is chosen, its `lower` says what block that is, and a published
network's block is the same class with the published numbers.
"""

from __future__ import annotations

import dataclasses
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, cast, final

from search_space.architecture import Block
from search_space.blocks.units import Units
from search_space.choices import (
    Chooser,
    Nominal,
    Ordinal,
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


def width(default: int | None = None, *, least: int = 1) -> Any:
    """A field that is a number of channels, at least `least`; scaled where a network is made narrower."""
    metadata = {"least": least, "channels": True}
    return (
        dataclasses.field(metadata=metadata)
        if default is None
        else dataclasses.field(default=default, metadata=metadata)
    )


def count(default: int) -> Any:
    """A field that counts something else than channels, at least 1."""
    return dataclasses.field(default=default, metadata={"least": 1})


def option(*allowed: Value) -> Any:
    """A field that is one of `allowed`, the first of them by default."""
    return dataclasses.field(default=allowed[0], metadata={"allowed": allowed})


def number(default: float) -> Any:
    """A field that is a number in (0, 1]."""
    return dataclasses.field(default=default, metadata={"ratio": True})


@dataclass(frozen=True, slots=True)
class BlockFields(ABC):
    """The choices of one block of a family.

    Attributes:
        NAME: the family's name.
        REDUCES: whether the block halves height and width.
    """

    NAME: ClassVar[str]
    REDUCES: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            value, meta = getattr(self, entry.name), entry.metadata
            where = f"got {value!r} at {self.NAME}.{entry.name}"
            if "least" in meta:
                law = isinstance(value, int) and not isinstance(value, bool) and value >= meta["least"]
                check(law, f"a width or count must be an integer >= {meta['least']}, {where}")
            elif "allowed" in meta:
                check(value in meta["allowed"], f"a choice must be one of {list(meta['allowed'])}, {where}")
            else:
                check(not isinstance(value, str) and 0 < value <= 1, f"a ratio must lie in (0, 1], {where}")

    @abstractmethod
    def lower(self, channels: int, units: Units, name: str) -> Node:
        """The block on an input of `channels` channels, built of `units`."""

    def settings(self) -> dict[str, Value]:
        """What differs from the defaults, by field."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {e.name: values[e.name] for e in dataclasses.fields(self) if values[e.name] != e.default}


def read(kind: type[BlockFields], block: Block) -> BlockFields:
    """The fields that a block was made with.

    Raises:
        SpaceError: branches, or a field that is missing, unknown or out of range.
    """
    names = {entry.name for entry in dataclasses.fields(kind)}
    needed = {entry.name for entry in dataclasses.fields(kind) if entry.default is dataclasses.MISSING}
    given = dict(block.settings)
    if block.branches or set(given) - names or needed - set(given):
        raise SpaceError(
            f"a block of {kind.NAME} has no branches and the settings {sorted(names)}, of which it needs "
            f"{sorted(needed)}; got {sorted(given)}"
        )
    ratios = {entry.name for entry in dataclasses.fields(kind) if "ratio" in entry.metadata}
    try:
        return kind(**{n: float(v) if n in ratios and not isinstance(v, str) else v for n, v in given.items()})
    except ValueError as error:
        raise SpaceError(str(error)) from error


def normalise(kind: type[BlockFields], block: Block) -> Block:
    """The block with its settings in the family's order and the defaults left out."""
    return Block(kind.NAME, (), tuple(read(kind, block).settings().items()))


@cache
def lower(kind: type[BlockFields], block: Block, channels: int, name: str) -> Node:
    """The expression of a block, in the units that a search uses."""
    return read(kind, block).lower(channels, Units(), name)


@final
@dataclass(frozen=True)
class FieldsDomain:
    """What one block of a fields family may be: the options of every field."""

    kind: type[BlockFields]
    choices: tuple[tuple[str, Ordinal | Nominal], ...]

    @property
    def may_be_empty(self) -> bool:
        """Never: there is always a block."""
        return False

    @property
    def size(self) -> int:
        """Number of blocks: the product over the fields."""
        product = 1
        for _, choice in self.choices:
            product *= len(choice.options)
        return product

    def sample(self, chooser: Chooser, path: str) -> Block:
        """A block, not yet normalised."""
        return Block(self.kind.NAME, (), tuple((n, c.draw(chooser, f"{path}.{n}")) for n, c in self.choices))

    def draw(self, generator: random.Random) -> Block:
        """A normalised block, each with the same chance: no choice hangs on another one."""
        return normalise(self.kind, self.uniform(generator))

    def uniform(self, generator: random.Random) -> Block:
        """A block, each with the same chance."""
        return Block(self.kind.NAME, (), tuple((n, generator.choice(c.options)) for n, c in self.choices))

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Every choice that may be asked for, in order."""
        return tuple(Parameter(f"{path}.{name}", choice) for name, choice in self.choices)

    def assignments(self, block: Block | None, path: str) -> dict[str, Value]:
        """The choices that make a normalised `block`.

        Raises:
            SpaceError: the block is not of this domain.
        """
        if block is None or block.family != self.kind.NAME:
            raise SpaceError(f"a block must be of the family {self.kind.NAME}, got {block} at {path}")
        fields = read(self.kind, block)
        chosen: dict[str, Value] = {}
        for name, choice in self.choices:
            chosen |= assigned(f"{path}.{name}", getattr(fields, name), choice.options)
        return chosen


def parse(kind: type[BlockFields], mapping: Mapping[str, Any], path: str) -> FieldsDomain:
    """The domain that a parsed mapping describes: `{family, FIELD: options, ...}`; a field left out has its default.

    Raises:
        SpaceError: unknown keys or options.
    """
    entries = dataclasses.fields(kind)
    needed = [entry.name for entry in entries if entry.default is dataclasses.MISSING]
    given = parse_fields(mapping, path, needed, ["family", *(entry.name for entry in entries)])
    choices = []
    for entry in entries:
        here = f"{path}.{entry.name}"
        if entry.name in given:
            choices.append((entry.name, _parse_choice(entry.metadata, given[entry.name], here)))
        else:
            choices.append((entry.name, Nominal((_default(entry),))))
    return FieldsDomain(kind, tuple(choices))


def _default(entry: dataclasses.Field[Any]) -> Value:
    assert entry.default is not dataclasses.MISSING
    return cast(Value, entry.default)


def _parse_choice(meta: Mapping[str, Any], value: object, path: str) -> Ordinal | Nominal:
    if "least" in meta:
        return parse_ordinal(value, path, least=meta["least"])
    return parse_nominal(value, path, meta.get("allowed", ()), ratios="ratio" in meta)
