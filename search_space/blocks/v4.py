"""The blocks of Inception-v4.

Szegedy et al. 2017 (Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning), figures 4 to
6. A and B are v3's with other widths; C forks after a chain of 3×1 and 1×3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from search_space.architecture import Branch
from search_space.blocks.fields import BlockFields, families_of, reduction, width
from search_space.blocks.units import Units
from search_space.blocks.v3 import V3A, V3B, fork, projected_pool
from search_space.graph import Concat, Node, Seq


@final
@dataclass(frozen=True, slots=True)
class V4A(BlockFields):
    """Block A (figure 4): four branches of one width.

    Attributes:
        reduce: width of the 1×1 in front of the 3×3.
        out: width of every branch.
    """

    NAME: ClassVar[str] = "v4a"
    reduce: int = width()
    out: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return four branches on one input."""
        return self._v3a().lower(channels, units, name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the same four branches, the two 3×3 as a stacked 5×5."""
        return self._v3a().branches()

    def _v3a(self) -> V3A:
        return V3A(self.out, self.reduce, self.out, self.reduce, self.out, self.out)


@final
@dataclass(frozen=True, slots=True)
class V4B(BlockFields):
    """Block B (figure 5): 1×7·7×1 once and twice, growing along the chain.

    Attributes:
        k1: width of the 1×1 branch.
        reduce: width at the start of either chain.
        middle: width in the middle.
        out: width at the end.
        pool: width of the projection behind the pool.
    """

    NAME: ClassVar[str] = "v4b"
    k1: int = width()
    reduce: int = width()
    middle: int = width()
    out: int = width()
    pool: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return four branches on one input."""
        return self._v3b().lower(channels, units, name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the four branches with both chains as one of their common width."""
        return self._v3b().branches()

    def _v3b(self) -> V3B:
        return V3B(self.k1, self.reduce, self.middle, self.out, self.pool)


@final
@dataclass(frozen=True, slots=True)
class V4C(BlockFields):
    """Block C (figure 6): two branches that fork into 1×3 and 3×1, one of them after 3×1·1×3.

    Attributes:
        out: width of the 1×1 branch, of each convolution of a fork and of the projection behind the pool.
        reduce: width of the 1×1 in front of either fork.
        column: width of the 3×1.
        row: width of the 1×3.
    """

    NAME: ClassVar[str] = "v4c"
    out: int = width()
    reduce: int = width()
    column: int = width()
    row: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return four branches on one input, two of them forked."""
        single = (units.conv(self.reduce, 1, name="reduce"), fork(self.out, units))
        double = (
            units.conv(self.reduce, 1, name="reduce"),
            units.conv(self.column, (3, 1), name="column"),
            units.conv(self.row, (1, 3), name="row"),
            fork(self.out, units),
        )
        branches = (
            units.conv(self.out, 1, name="k1"),
            Seq(single, name="single"),
            Seq(double, name="deep"),
            projected_pool(self.out, units),
        )
        return Concat(branches, name=name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the four branches, forks as asymmetric convolutions of their common width."""
        return (
            Branch("k1", self.out),
            Branch("k3", 2 * self.out, reduction(self.reduce, 2 * self.out), "asymmetric"),
            Branch("k5", 2 * self.out, reduction(self.reduce, 2 * self.out), "asymmetric"),
            Branch("pool", self.out, pool="avg"),
        )


FAMILIES = families_of(V4A, V4B, V4C)
