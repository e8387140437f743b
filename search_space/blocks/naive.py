"""The naive Inception block: parallel 1×1, 3×3, 5×5 and 3×3 max-pool, concatenated.

Szegedy et al. 2015 (Going Deeper with Convolutions), figure 2a. The pooled branch has no projection, so a block's
output is always wider than its input, which the reductions of figure 2b cure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from search_space.architecture import Branch
from search_space.blocks.fields import BlockFields, families_of, width
from search_space.blocks.units import Units
from search_space.graph import Concat, Node


@final
@dataclass(frozen=True, slots=True)
class Naive(BlockFields):
    """The naive block.

    Attributes:
        k1: width of the 1×1 branch.
        k3: width of the 3×3 branch.
        k5: width of the 5×5 branch.
    """

    NAME: ClassVar[str] = "naive"
    k1: int = width()
    k3: int = width()
    k5: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return four branches on one input."""
        branches = (
            units.conv(self.k1, 1, name="k1"),
            units.conv(self.k3, 3, name="k3"),
            units.conv(self.k5, 5, name="k5"),
            units.pool("max"),
        )
        return Concat(branches, name=name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the three convolutions; the searchable family has no pool without a projection."""
        return (Branch("k1", self.k1), Branch("k3", self.k3), Branch("k5", self.k5))


FAMILIES = families_of(Naive)
