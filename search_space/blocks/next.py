"""The InceptionNeXt block: channels sliced among the identity and three depthwise convolutions, then a channel MLP.

Yu et al. 2024 (InceptionNeXt: When Inception Meets ConvNeXt), figure 2 and algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

from search_space.blocks.fields import BlockFields, count, families_of, fraction, option, width
from search_space.blocks.units import Units
from search_space.graph import Concat, Conv, Identity, Node, Norm, Pair, Residual, Scale, Seq, Slice


@final
@dataclass(frozen=True, slots=True)
class Next(BlockFields):
    """The InceptionNeXt block; it keeps the width of its input.

    Attributes:
        ratio: share of the channels of each depthwise convolution, at most 1/3; rounded down, at least one channel.
        band: k of the 1×k and k×1 convolutions.
        square: side of the square convolution.
        expansion: width of the channel MLP as a multiple of the input's.
        scale: initial value of the learned scale of each channel.
    """

    NAME: ClassVar[str] = "next"
    ratio: float = fraction(0.125)
    band: int = option(11, 9, 7, 5, 3)
    square: int = option(3, 5)
    expansion: int = count(4)
    scale: float = fraction(1e-6)

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return a residual of token mixer, norm, MLP and layer scale."""
        body = (
            self._mixer(channels, units),
            Norm(name="norm"),
            replace(units.bare(self.expansion * channels, 1), activation="gelu", name="expand"),
            units.bare(channels, 1, name="contract"),
            Scale(self.scale, learned=True, name="scale"),
        )
        return Residual(Seq(body, name="body"), Identity(name="shortcut"), name=name)

    def _mixer(self, channels: int, units: Units) -> Node:
        share = min(max(1, int(self.ratio * channels)), channels // 3)
        if share == 0:
            return units.bare(channels, self.square, groups=channels, name="mixer")
        kept = channels - 3 * share
        kernels: tuple[tuple[str, Pair], ...] = (
            ("square", (self.square, self.square)),
            ("row", (1, self.band)),
            ("column", (self.band, 1)),
        )
        branches: list[Node] = [Slice(0, kept, name="kept")] if kept else []
        for index, (label, kernel) in enumerate(kernels):
            start = kept + index * share
            depthwise = units.bare(share, kernel, groups=share, name="depthwise")
            branches.append(Seq((Slice(start, start + share, name="slice"), depthwise), name=label))
        return Concat(tuple(branches), name="mixer")


@final
@dataclass(frozen=True, slots=True)
class NextGrid(BlockFields):
    """The grid reduction between stages: a norm and a 2×2 convolution of stride 2.

    Attributes:
        out: output width.
    """

    NAME: ClassVar[str] = "grid_next"
    REDUCES: ClassVar[bool] = True
    out: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:  # noqa: ARG002 - any input fits
        """Return the norm and the convolution."""
        return Seq((Norm(name="norm"), Conv(self.out, (2, 2), (2, 2), bias=True, name="conv")), name=name)


FAMILIES = families_of(Next, NextGrid)
