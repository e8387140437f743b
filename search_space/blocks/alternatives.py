"""Domain of blocks of several families: the family is one more choice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

from search_space.architecture import Block
from search_space.blocks.family import BlockDomain
from search_space.choices import Chooser, Nominal, Parameter, SpaceError, Value, any_of, assigned


@final
@dataclass(frozen=True)
class AnyDomain:
    """Domain of blocks of several families.

    Attributes:
        families: names of the families, at least two.
        domains: domain of a block of each.
    """

    families: tuple[str, ...]
    domains: tuple[BlockDomain, ...]

    @classmethod
    def of(cls, alternatives: Sequence[tuple[str, BlockDomain]], path: str) -> Self:
        """Return the domain of several families, given by name and domain.

        Raises:
            SpaceError: there are fewer than two families, or one of them twice.
        """
        names = [name for name, _ in alternatives]
        if len(names) < 2 or len(set(names)) < len(names):
            raise SpaceError(f"alternatives must be of two or more different families, got {names} at {path}")
        return cls(tuple(names), tuple(domain for _, domain in alternatives))

    @property
    def may_be_empty(self) -> bool:
        """True if a block of some family may be empty."""
        return any(domain.may_be_empty for domain in self.domains)

    @property
    def size(self) -> int:
        """Number of normalised blocks, without the empty one."""
        return sum(domain.size for domain in self.domains)

    def sample(self, chooser: Chooser, path: str) -> Block:
        """Return a block whose choices `chooser` makes, not yet normalised."""
        name = str(Nominal(self.families).draw(chooser, f"{path}.family"))
        return self._domain(name).sample(chooser, f"{path}.{name}")

    def draw(self, generator: random.Random) -> Block | None:
        """Return a normalised block, family and every choice uniform among their options; None for the empty one."""
        return any_of(generator, self.domains).draw(generator)

    def uniform(self, generator: random.Random) -> Block:
        """Return a normalised block that is not empty, uniform over all."""
        rest = generator.randrange(self.size)
        for domain in self.domains:
            if rest < domain.size:
                return domain.uniform(generator)
            rest -= domain.size
        raise AssertionError("a size must be the sum of its parts")

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Return every choice that `sample` may ask for, in order."""
        inner = (d.parameters(f"{path}.{name}") for name, d in zip(self.families, self.domains, strict=True))
        return (Parameter(f"{path}.family", Nominal(self.families)), *(p for ps in inner for p in ps))

    def assignments(self, block: Block | None, path: str) -> dict[str, Value]:
        """Return the choices that make a normalised block, None for the empty one.

        Raises:
            SpaceError: the block is not of this domain.
        """
        if block is not None:
            chosen = assigned(f"{path}.family", block.family, self.families)
            return chosen | self._domain(block.family).assignments(block, f"{path}.{block.family}")
        for name, domain in zip(self.families, self.domains, strict=True):
            if domain.may_be_empty:
                return {f"{path}.family": name, **domain.assignments(None, f"{path}.{name}")}
        raise SpaceError(f"a block must have a branch, got none at {path}")

    def _domain(self, name: str) -> BlockDomain:
        return self.domains[self.families.index(name)]
