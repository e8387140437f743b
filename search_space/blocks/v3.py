"""The blocks of Inception-v2 and v3: factorized convolutions and an expanded filter bank.

Szegedy et al. 2016 (Rethinking the Inception Architecture for Computer Vision), figures 5 to 7. BN-Inception (Ioffe
and Szegedy 2015, figure 5) is built of `V3A` with a 3×3 in its second branch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from search_space.architecture import Branch
from search_space.blocks.fields import BlockFields, families_of, option, reduction, width
from search_space.blocks.units import Units
from search_space.graph import Concat, Node, Seq


def projected_pool(channels: int, units: Units, kind: str = "avg") -> Seq:
    """Return a 3×3 pool of stride 1 and a 1×1 projection to `channels`."""
    return Seq((units.pool(kind), units.conv(channels, 1, name="project")), name="pool")


def fork(channels: int, units: Units) -> Concat:
    """Return the expanded filter bank: 1×3 and 3×1 side by side, `channels` each (figure 7)."""
    return Concat((units.conv(channels, (1, 3), name="row"), units.conv(channels, (3, 1), name="column")), name="fork")


@final
@dataclass(frozen=True, slots=True)
class V3A(BlockFields):
    """Block A: a 5×5 written as two 3×3, beside a single convolution (figure 5).

    Attributes:
        k1: width of the 1×1 branch, 0 for none.
        single_reduce: width of the 1×1 in front of the single convolution.
        single: width of the single convolution.
        double_reduce: width of the 1×1 in front of the two 3×3.
        double: width of both 3×3.
        pool: width of the projection behind the pool.
        side: side of the single convolution: 3 in the figure, 5 in the published network.
        pool_kind: kind of the pool.
    """

    NAME: ClassVar[str] = "v3a"
    k1: int = width(least=0)
    single_reduce: int = width()
    single: int = width()
    double_reduce: int = width()
    double: int = width()
    pool: int = width()
    side: int = option(3, 5)
    pool_kind: str = option("avg", "max")

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return four branches on one input, three if `k1` is 0."""
        single = (units.conv(self.single_reduce, 1, name="reduce"), units.conv(self.single, self.side, name="conv"))
        double = (
            units.conv(self.double_reduce, 1, name="reduce"),
            units.conv(self.double, 3, name="conv0"),
            units.conv(self.double, 3, name="conv1"),
        )
        branches = (
            Seq(single, name="single"),
            Seq(double, name="deep"),
            projected_pool(self.pool, units, self.pool_kind),
        )
        first = (units.conv(self.k1, 1, name="k1"),) if self.k1 else ()
        return Concat(first + branches, name=name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the same four branches, the two 3×3 as a stacked 5×5."""
        return (
            Branch("k1", self.k1),
            Branch("k3", self.single, reduction(self.single_reduce, self.single)),
            Branch("k5", self.double, reduction(self.double_reduce, self.double), "stacked"),
            Branch("pool", self.pool, pool=self.pool_kind),
        )


@final
@dataclass(frozen=True, slots=True)
class V3B(BlockFields):
    """Block B: n×n written as 1×n and n×1, once and twice (figure 6).

    Attributes:
        k1: width of the 1×1 branch.
        reduce: width of the first convolutions of a chain.
        middle: width of the convolutions in the middle; the published network has it equal to `reduce`.
        out: width at the end of either chain.
        pool: width of the projection behind the pool.
        side: n.
    """

    NAME: ClassVar[str] = "v3b"
    k1: int = width()
    reduce: int = width()
    middle: int = width()
    out: int = width()
    pool: int = width()
    side: int = option(7, 5, 3)

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return four branches on one input."""
        row, column = (1, self.side), (self.side, 1)
        single = (
            units.conv(self.reduce, 1, name="reduce"),
            units.conv(self.middle, row, name="row"),
            units.conv(self.out, column, name="column"),
        )
        double = (
            units.conv(self.reduce, 1, name="reduce"),
            units.conv(self.reduce, column, name="column0"),
            units.conv(self.middle, row, name="row0"),
            units.conv(self.middle, column, name="column1"),
            units.conv(self.out, row, name="row1"),
        )
        branches = (
            units.conv(self.k1, 1, name="k1"),
            Seq(single, name="single"),
            Seq(double, name="deep"),
            projected_pool(self.pool, units),
        )
        return Concat(branches, name=name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the four branches with both chains as one of their common width."""
        return (
            Branch("k1", self.k1),
            Branch(f"k{self.side}", 2 * self.out, reduction(self.reduce, 2 * self.out), "asymmetric"),
            Branch("pool", self.pool, pool="avg"),
        )


@final
@dataclass(frozen=True, slots=True)
class V3C(BlockFields):
    """Block C: the expanded filter bank, branches that fork into 1×3 and 3×1 (figure 7).

    Attributes:
        k1: width of the 1×1 branch.
        single_reduce: width of the 1×1 in front of the first fork.
        double_reduce: width of the 1×1 in front of the 3×3.
        fork: width of the 3×3 and of each convolution of a fork.
        pool: width of the projection behind the pool.
    """

    NAME: ClassVar[str] = "v3c"
    k1: int = width()
    single_reduce: int = width()
    double_reduce: int = width()
    fork: int = width()
    pool: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return four branches on one input, two of them forked."""
        single = (units.conv(self.single_reduce, 1, name="reduce"), fork(self.fork, units))
        double = (
            units.conv(self.double_reduce, 1, name="reduce"),
            units.conv(self.fork, 3, name="conv"),
            fork(self.fork, units),
        )
        branches = (
            units.conv(self.k1, 1, name="k1"),
            Seq(single, name="single"),
            Seq(double, name="deep"),
            projected_pool(self.pool, units),
        )
        return Concat(branches, name=name)

    def branches(self) -> tuple[Branch, ...]:
        """Return the four branches, forks as asymmetric convolutions of their common width."""
        return (
            Branch("k1", self.k1),
            Branch("k3", 2 * self.fork, reduction(self.single_reduce, 2 * self.fork), "asymmetric"),
            Branch("k5", 2 * self.fork, reduction(self.double_reduce, 2 * self.fork), "asymmetric"),
            Branch("pool", self.pool, pool="avg"),
        )


FAMILIES = families_of(V3A, V3B, V3C)
