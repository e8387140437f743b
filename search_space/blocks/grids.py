"""Grid reductions: parallel convolutions and a pool of stride 2, so that no layer becomes a bottleneck.

Szegedy et al. 2016 (Rethinking the Inception Architecture), figure 10, for v3; Szegedy et al. 2017 (Inception-v4,
Inception-ResNet and the Impact of Residual Connections on Learning), figures 7, 8 and 18, for v4 and Inception-ResNet.
Each replaces a plain pool in front of a stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from search_space.blocks.fields import BlockFields, families_of, width
from search_space.blocks.units import Units
from search_space.graph import Concat, Node, Seq


@final
@dataclass(frozen=True, slots=True)
class GridA(BlockFields):
    """A 3×3, two 3×3 and a max-pool (v3's first reduction, v4's reduction A, BN-Inception's blocks of stride 2).

    Attributes:
        k3: width of the 3×3.
        double_reduce: width of the 1×1 in front of the two 3×3.
        middle: width of the first of the two.
        double: width of the second.
        k3_reduce: width of a 1×1 in front of the 3×3, 0 for none.
    """

    NAME: ClassVar[str] = "grid_a"
    REDUCES: ClassVar[bool] = True
    k3: int = width()
    double_reduce: int = width()
    middle: int = width()
    double: int = width()
    k3_reduce: int = width(0, least=0)

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return three branches of stride 2."""
        reduce = (units.conv(self.k3_reduce, 1, name="reduce"),) if self.k3_reduce else ()
        single = (*reduce, units.edge_conv(self.k3, 3, stride=2, name="conv"))
        double = (
            units.conv(self.double_reduce, 1, name="reduce"),
            units.conv(self.middle, 3, name="conv0"),
            units.edge_conv(self.double, 3, stride=2, name="conv1"),
        )
        return Concat((Seq(single, name="single"), Seq(double, name="deep"), units.edge_pool()), name=name)


@final
@dataclass(frozen=True, slots=True)
class GridB(BlockFields):
    """A reduced 3×3, a 1×7·7×1·3×3 and a max-pool (v3's second reduction, v4's reduction B).

    Attributes:
        k3_reduce: width of the 1×1 in front of the 3×3.
        k3: width of the 3×3.
        k7_reduce: width of the 1×1 and the 1×7.
        k7: width of the 7×1 and the 3×3 behind it.
    """

    NAME: ClassVar[str] = "grid_b"
    REDUCES: ClassVar[bool] = True
    k3_reduce: int = width()
    k3: int = width()
    k7_reduce: int = width()
    k7: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return three branches of stride 2."""
        single = (
            units.conv(self.k3_reduce, 1, name="reduce"),
            units.edge_conv(self.k3, 3, stride=2, name="conv"),
        )
        factorized = (
            units.conv(self.k7_reduce, 1, name="reduce"),
            units.conv(self.k7_reduce, (1, 7), name="row"),
            units.conv(self.k7, (7, 1), name="column"),
            units.edge_conv(self.k7, 3, stride=2, name="conv"),
        )
        return Concat((Seq(single, name="single"), Seq(factorized, name="k7"), units.edge_pool()), name=name)


@final
@dataclass(frozen=True, slots=True)
class GridResnet(BlockFields):
    """Two reduced 3×3, two 3×3 and a max-pool (Inception-ResNet's reduction B).

    Attributes:
        reduce: width of each 1×1.
        first: width of the first 3×3.
        second: width of the second 3×3, and of the first of the two.
        double: width of the second of the two.
    """

    NAME: ClassVar[str] = "grid_resnet"
    REDUCES: ClassVar[bool] = True
    reduce: int = width()
    first: int = width()
    second: int = width()
    double: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return four branches of stride 2."""
        reduce = units.conv(self.reduce, 1, name="reduce")
        first = (reduce, units.edge_conv(self.first, 3, stride=2, name="conv"))
        second = (reduce, units.edge_conv(self.second, 3, stride=2, name="conv"))
        double = (
            reduce,
            units.conv(self.second, 3, name="conv0"),
            units.edge_conv(self.double, 3, stride=2, name="conv1"),
        )
        branches = (Seq(first, name="first"), Seq(second, name="second"), Seq(double, name="deep"))
        return Concat((*branches, units.edge_pool()), name=name)


FAMILIES = families_of(GridA, GridB, GridResnet)
