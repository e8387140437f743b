"""Xception's block: an Inception block taken to the extreme, one spatial convolution for every channel.

Chollet 2017 (Xception: Deep Learning with Depthwise Separable Convolutions), figures 4 and 5: activations stand before
the separable convolutions, and the shortcut is projected where the width changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

from search_space.blocks.fields import BlockFields, count, families_of, option, width
from search_space.blocks.units import Units
from search_space.graph import Activation, Conv, Identity, Node, Pool, Residual, Seq


def separable(channels: int, out: int, units: Units, *, activation: str | None = None, name: str = "") -> Seq:
    """Return a 3×3 depthwise convolution and a pointwise one to `out` channels, with norm and `activation`."""
    pointwise = replace(units.conv(out, 1), activation=activation, name="pointwise")
    return Seq((units.depthwise(channels, 3, name="depthwise"), pointwise), name=name)


def _shortcut(channels: int, out: int, units: Units, stride: int) -> Node:
    if channels == out and stride == 1:
        return Identity(name="shortcut")
    return Conv(out, (1, 1), (stride, stride), bias=units.bias, norm=units.norm, name="shortcut")


@final
@dataclass(frozen=True, slots=True)
class Xception(BlockFields):
    """The block of the middle flow: separable convolutions, each behind its activation, added to the input.

    Attributes:
        out: output width.
        repeats: number of separable convolutions.
    """

    NAME: ClassVar[str] = "xception"
    out: int = width()
    repeats: int = count(3)

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return a residual of `repeats` separable convolutions."""
        body: list[Node] = []
        for index in range(self.repeats):
            body.append(Activation(name=f"activation{index}"))
            body.append(separable(channels if index == 0 else self.out, self.out, units, name=f"separable{index}"))
        shortcut = _shortcut(channels, self.out, units, 1)
        return Residual(Seq(tuple(body), name="body"), shortcut, name=name)


@final
@dataclass(frozen=True, slots=True)
class XceptionGrid(BlockFields):
    """The block of the entry and exit flows: two separable convolutions and a pool, added to a strided projection.

    Attributes:
        out: output width.
        middle: width of the first separable convolution: the output's (`out`) or the input's (`in`).
        first: whether an activation stands in front of the first one (`relu`) or not (`none`).
    """

    NAME: ClassVar[str] = "grid_xception"
    REDUCES: ClassVar[bool] = True
    out: int = width()
    middle: str = option("out", "in")
    first: str = option("relu", "none")

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return a residual of stride 2."""
        middle = self.out if self.middle == "out" else channels
        opening = (Activation(name="activation0"),) if self.first == "relu" else ()
        body = (
            *opening,
            separable(channels, middle, units, name="separable0"),
            Activation(name="activation1"),
            separable(middle, self.out, units, name="separable1"),
            Pool("max", (3, 3), (2, 2), (1, 1), name="pool"),
        )
        return Residual(Seq(body, name="body"), _shortcut(channels, self.out, units, 2), name=name)


FAMILIES = families_of(Xception, XceptionGrid)
