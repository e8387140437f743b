"""The Inception block with dimension reductions: 1×1 convolutions before the 3×3 and the 5×5, and after the pool.

Szegedy et al. 2015 (Going Deeper with Convolutions), figure 2b; the fields are the columns of table 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from search_space.architecture import Branch
from search_space.blocks.fields import BlockFields, families_of, option, reduction, width
from search_space.blocks.units import Units
from search_space.graph import Concat, Node, Seq


@final
@dataclass(frozen=True, slots=True)
class V1(BlockFields):
    """GoogLeNet's block.

    Attributes:
        k1: width of the 1×1 branch.
        k3_reduce: width of the 1×1 in front of the 3×3.
        k3: width of the 3×3 branch.
        k5_reduce: width of the 1×1 in front of the 5×5.
        k5: width of the 5×5 branch.
        pool: width of the projection behind the pool.
        side: side of the largest convolution: 5 in the paper, 3 in torchvision's network.
    """

    NAME: ClassVar[str] = "v1"
    k1: int = width()
    k3_reduce: int = width()
    k3: int = width()
    k5_reduce: int = width()
    k5: int = width()
    pool: int = width()
    side: int = option(5, 3)

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return four branches on one input."""
        k3 = (units.conv(self.k3_reduce, 1, name="reduce"), units.conv(self.k3, 3, name="conv"))
        k5 = (units.conv(self.k5_reduce, 1, name="reduce"), units.conv(self.k5, self.side, name="conv"))
        pool = (units.pool("max"), units.conv(self.pool, 1, name="project"))
        branches = (
            units.conv(self.k1, 1, name="k1"),
            Seq(k3, name="k3"),
            Seq(k5, name="k5"),
            Seq(pool, name="pool"),
        )
        return Concat(branches, name=name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the same four branches."""
        return (
            Branch("k1", self.k1),
            Branch("k3", self.k3, reduction(self.k3_reduce, self.k3)),
            Branch("k5", self.k5, reduction(self.k5_reduce, self.k5)),
            Branch("pool", self.pool, pool="max"),
        )


FAMILIES = families_of(V1)
