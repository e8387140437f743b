"""Block families: one file each, saying how its blocks are normalised, lowered to the algebra, and chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from search_space.architecture import Block
from search_space.blocks import inception
from search_space.choices import Chooser, Value
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
    """

    normalise: Callable[[Block], Block | None]
    lower: Callable[[Block, int, str], Node]
    parse: Callable[[Mapping[str, Any], str], BlockDomain]


FAMILIES: Mapping[str, Family] = {
    inception.FAMILY: Family(inception.normalise, inception.lower, inception.parse),
}


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in FAMILIES:
        raise ValueError(f"a block family must be one of {sorted(FAMILIES)}, got {name!r}")
    return FAMILIES[name]
