"""Block families: the functions that a space, a lowering and a projection need of one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from search_space.architecture import Block, Branch
from search_space.choices import Chooser, Parameter, Value
from search_space.graph import Node

SEARCHABLE = "inception"  # the default family of a space, into which a projection translates blocks


class BlockDomain(Protocol):
    """Domain of one block of a space."""

    @property
    def may_be_empty(self) -> bool:
        """True if the choices can leave no branch; such a block is dropped."""
        ...

    @property
    def size(self) -> int:
        """Number of normalised blocks, without the empty one."""
        ...

    def sample(self, chooser: Chooser, path: str) -> Block:
        """Return a block whose choices `chooser` makes, not yet normalised."""
        ...

    def draw(self, generator: random.Random) -> Block | None:
        """Return a normalised block, every choice uniform among its options; None for the empty block."""
        ...

    def uniform(self, generator: random.Random) -> Block:
        """Return a block that is not empty, uniform over the normalised ones."""
        ...

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Return every choice that `sample` may ask for, in order."""
        ...

    def assignments(self, block: Block | None, path: str) -> dict[str, Value]:
        """Return the choices that make a normalised block, None for the empty one.

        Raises:
            SpaceError: the block is not of this domain.
        """
        ...


def _no_targets(block: Block, multiplier: float) -> Mapping[str, Value]:  # noqa: ARG001 - a default for every block
    return {}


def _no_branches(block: Block) -> tuple[Branch, ...] | None:  # noqa: ARG001 - a default for every block
    return None


@dataclass(frozen=True)
class Family:
    """A block family.

    Attributes:
        normalise: from a block to its normal form, None if no branch is left. It keeps the block's `family`, the name
            under which the family was found.
        lower: from a normalised block, its number of input channels and its name to an expression of the algebra.
        parse: from a mapping of a space and its path to the domain that it describes.
        reduces: whether its blocks halve height and width, and so stand in front of a stage.
        targets: from a block and a multiplier of its widths to the value that a projection prefers for each choice,
            by path within the block.
        branches: from a block to the nearest branches of the searchable family, None if none are near.
    """

    normalise: Callable[[Block], Block | None]
    lower: Callable[[Block, int, str], Node]
    parse: Callable[[Mapping[str, Any], str], BlockDomain]
    reduces: bool = False
    targets: Callable[[Block, float], Mapping[str, Value]] = _no_targets
    branches: Callable[[Block], tuple[Branch, ...] | None] = _no_branches
