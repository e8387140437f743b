"""The InceptionTime module for signals: a 1×1 bottleneck, three 1×k convolutions behind it, and a pool.

Fawaz et al. 2020 (InceptionTime: Finding AlexNet for Time Series Classification), figures 1 and 2. A signal of c
channels and l samples is an image of c channels, height 1 and width l, so that every filter is one row. The paper's
lengths of 10, 20 and 40 are even; here they are the odd ones below, which keep a signal's length without padding one
side more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

from search_space.blocks.fields import BlockFields, families_of, option, width
from search_space.blocks.units import Units
from search_space.graph import Concat, Node, Pool, Residual, Seq

LENGTHS = {39: (9, 19, 39), 19: (5, 9, 19), 9: (3, 5, 9)}
"""Lengths of the filters of a module by the longest."""


@final
@dataclass(frozen=True, slots=True)
class Time(BlockFields):
    """The InceptionTime module.

    Attributes:
        out: width of each convolution, and of the pool's projection.
        bottleneck: width of the linear 1×1 in front of all three convolutions, 0 for none.
        longest: length of the longest filter; the others are about a half and a quarter of it.
        form: `full` filters, or `separable` ones (a depthwise 1×k, then a 1×1).
        shortcut: `projected` adds the input, projected to the module's width, as the paper does over three modules.
    """

    NAME: ClassVar[str] = "time"
    out: int = width()
    bottleneck: int = width(32, least=0)
    longest: int = option(39, 19, 9)
    form: str = option("full", "separable")
    shortcut: str = option("none", "projected")

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return the three convolutions and the pool, and the shortcut around them if there is one."""
        filters = tuple(
            Seq(self._convolution(self.bottleneck or channels, length, units), name=f"t{length}")
            for length in LENGTHS[self.longest]
        )
        parallel: Node = Concat(filters, name="filters")
        if self.bottleneck:
            linear = replace(units.conv(self.bottleneck, 1), norm=None, activation=None, name="bottleneck")
            parallel = Seq((linear, parallel), name="filters")
        pool = Pool("max", (1, 3), (1, 1), (0, 1), name="pool")
        branches = (parallel, Seq((pool, units.conv(self.out, 1, name="project")), name="pool"))
        if self.shortcut == "none":
            return Concat(branches, name=name)
        shortcut = replace(units.conv(4 * self.out, 1), activation=None, name="shortcut")
        return Residual(Concat(branches, name="body"), shortcut, units.activation, name=name)

    def _convolution(self, channels: int, length: int, units: Units) -> tuple[Node, ...]:
        if self.form == "full":
            return (units.conv(self.out, (1, length), name="conv"),)
        depthwise = units.depthwise(channels, (1, length), name="depthwise")
        return depthwise, units.conv(self.out, 1, name="pointwise")


FAMILIES = families_of(Time)
