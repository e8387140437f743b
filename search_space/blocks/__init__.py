"""Block families: one file each, saying how its blocks are normalised, lowered to the algebra, and chosen."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from search_space.architecture import Block
from search_space.blocks import fields, inception
from search_space.blocks.fields import BlockFields
from search_space.blocks.grids import GridA, GridB, GridResnet
from search_space.blocks.naive import Naive
from search_space.blocks.next import Next, NextGrid
from search_space.blocks.resnet import ResnetA, ResnetB, ResnetC
from search_space.blocks.v1 import V1
from search_space.blocks.v3 import V3A, V3B, V3C
from search_space.blocks.v4 import V4A, V4B, V4C
from search_space.blocks.xception import Xception, XceptionGrid
from search_space.choices import Chooser, Parameter, Value
from search_space.graph import Node


class BlockDomain(Protocol):
    """What one block of a space may be."""

    @property
    def may_be_empty(self) -> bool:
        """Whether the choices can leave no branch; such a block is no block."""
        ...

    @property
    def size(self) -> int:
        """Number of normalised blocks, the empty one apart."""
        ...

    def sample(self, chooser: Chooser, path: str) -> Block:
        """A block, not yet normalised."""
        ...

    def draw(self, generator: random.Random) -> Block | None:
        """A normalised block, every choice uniform among its options; None for the empty one."""
        ...

    def uniform(self, generator: random.Random) -> Block:
        """A normalised block that is not empty, each with the same chance."""
        ...

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Every choice that `sample` may ask for, in order."""
        ...

    def assignments(self, block: Block | None, path: str) -> dict[str, Value]:
        """The choices that make a normalised block, None for the empty one; SpaceError where there are none."""
        ...


@dataclass(frozen=True)
class Family:
    """A block family.

    Attributes:
        normalise: a block to its normal form, None where nothing is left of it.
        lower: a normalised block, its input channels and its name to an expression of the algebra.
        parse: a parsed mapping and its path to the domain that it describes.
        reduces: whether its blocks halve height and width, and so stand in front of a stage.
    """

    normalise: Callable[[Block], Block | None]
    lower: Callable[[Block, int, str], Node]
    parse: Callable[[Mapping[str, Any], str], BlockDomain]
    reduces: bool = False


def _of_fields(kind: type[BlockFields]) -> Family:
    return Family(
        partial(fields.normalise, kind), partial(fields.lower, kind), partial(fields.parse, kind), kind.REDUCES
    )


KINDS: tuple[type[BlockFields], ...] = (
    *(Naive, V1, V3A, V3B, V3C, V4A, V4B, V4C, ResnetA, ResnetB, ResnetC, Next, Xception),
    *(GridA, GridB, GridResnet, NextGrid, XceptionGrid),
)
FAMILIES: Mapping[str, Family] = {
    inception.FAMILY: Family(inception.normalise, inception.lower, inception.parse),
    **{kind.NAME: _of_fields(kind) for kind in KINDS},
}


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in FAMILIES:
        raise ValueError(f"a block family must be one of {sorted(FAMILIES)}, got {name!r}")
    return FAMILIES[name]
