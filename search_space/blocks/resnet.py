"""The blocks of Inception-ResNet: a small Inception block, projected, scaled and added to its input.

Szegedy et al. 2017 (Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning), figures 16,
17 and 19; the scaling of residuals is section 3.3's, which found factors of 0.1 to 0.3 to make training stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from search_space.blocks.fields import BlockFields, families_of, fraction, width
from search_space.blocks.units import Units
from search_space.graph import Concat, Identity, Node, Residual, Scale, Seq


def _residual(branches: tuple[Node, ...], channels: int, scale: float, units: Units, name: str) -> Residual:
    """Return the sum of the input and its branches, with a linear 1×1 back to `channels` and a scale behind them."""
    body = (
        Concat(branches, name="branches"),
        units.bare(channels, 1, name="project"),
        Scale(scale, name="scale"),
    )
    return Residual(Seq(body, name="body"), Identity(name="shortcut"), units.activation, name=name)


@final
@dataclass(frozen=True, slots=True)
class ResnetA(BlockFields):
    """Block A (figure 16): 1×1, a 3×3 and two 3×3.

    Attributes:
        k1: width of the 1×1 branch and of the 1×1 in front of the others.
        single: width of the single 3×3.
        middle: width of the first of the two 3×3.
        double: width of the second.
        scale: factor of the residual.
    """

    NAME: ClassVar[str] = "resnet_a"
    k1: int = width()
    single: int = width()
    middle: int = width()
    double: int = width()
    scale: float = fraction(0.17)

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return a residual of three branches."""
        reduce = units.conv(self.k1, 1, name="reduce")
        single = (reduce, units.conv(self.single, 3, name="conv"))
        double = (reduce, units.conv(self.middle, 3, name="conv0"), units.conv(self.double, 3, name="conv1"))
        branches = (units.conv(self.k1, 1, name="k1"), Seq(single, name="single"), Seq(double, name="deep"))
        return _residual(branches, channels, self.scale, units, name)


def _asymmetric(fields: ResnetB | ResnetC, side: int, channels: int, units: Units, name: str) -> Residual:
    """Return block B or C: a residual of a 1×1 and a 1×n·n×1 branch, n being `side`."""
    chain = (
        units.conv(fields.reduce, 1, name="reduce"),
        units.conv(fields.middle, (1, side), name="row"),
        units.conv(fields.out, (side, 1), name="column"),
    )
    branches = (units.conv(fields.k1, 1, name="k1"), Seq(chain, name="single"))
    return _residual(branches, channels, fields.scale, units, name)


@final
@dataclass(frozen=True, slots=True)
class ResnetB(BlockFields):
    """Block B (figure 17): 1×1 and 1×7·7×1.

    Attributes:
        k1: width of the 1×1 branch.
        reduce: width of the 1×1 in front of the chain.
        middle: width of the 1×7.
        out: width of the 7×1.
        scale: factor of the residual.
    """

    NAME: ClassVar[str] = "resnet_b"
    k1: int = width()
    reduce: int = width()
    middle: int = width()
    out: int = width()
    scale: float = fraction(0.1)

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return a residual of two branches."""
        return _asymmetric(self, 7, channels, units, name)


@final
@dataclass(frozen=True, slots=True)
class ResnetC(BlockFields):
    """Block C (figure 19): 1×1 and 1×3·3×1.

    Attributes:
        k1: width of the 1×1 branch.
        reduce: width of the 1×1 in front of the chain.
        middle: width of the 1×3.
        out: width of the 3×1.
        scale: factor of the residual.
    """

    NAME: ClassVar[str] = "resnet_c"
    k1: int = width()
    reduce: int = width()
    middle: int = width()
    out: int = width()
    scale: float = fraction(0.2)

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return a residual of two branches."""
        return _asymmetric(self, 3, channels, units, name)


FAMILIES = families_of(ResnetA, ResnetB, ResnetC)
