"""Auxiliary classifiers: heads on the middle of a network that run in training alone.

GoogLeNet has two (Szegedy et al. 2015, section 5), Inception-v3 one (Szegedy et al. 2016, figure 8). Their widths
follow the input's, so that small networks get small heads; at the published widths they are the published ones.
"""

from __future__ import annotations

from search_space.blocks.units import Units
from search_space.graph import Conv, Dropout, GlobalPool, Linear, Node, Pool, Seq, Shape, Tap

WEIGHTS = {"v1": 0.3, "v3": 0.4}
PUBLISHED_SIDE = 17  # side of the map that Inception-v3 taps


def auxiliary(kind: str, shape: Shape, classes: int, units: Units, name: str = "aux") -> Tap:
    """Return the tap of a kind on a map of `shape`, with the loss weight of its paper (v1) or published code (v3).

    Args:
        kind: `v1` or `v3`.
        shape: shape of the tapped map.
        classes: number of logits.
        units: makes the convolutions.
        name: the tap's name.
    """
    nodes = _head_v1(shape, units) if kind == "v1" else _head_v3(shape, units)
    return Tap(Seq((*nodes, Linear(classes, name="classifier")), name="head"), WEIGHTS[kind], name=name)


def _head_v1(shape: Shape, units: Units) -> tuple[Node, ...]:
    """Return 4×4 means, 1×1 to a quarter of the channels (at most 128), a dense layer of 8 times that, dropout."""
    width = max(1, min(128, shape.channels // 4))
    return (
        GlobalPool(size=(4, 4), name="pool"),
        units.conv(width, 1, name="conv"),
        Linear(8 * width, activation="relu", name="hidden"),
        Dropout(0.7, name="dropout"),
    )


def _head_v3(shape: Shape, units: Units) -> tuple[Node, ...]:
    """Return 5×5 means, 1×1 to a sixth of the channels, a convolution over all 25 back to the channels.

    The published code pools with 5×5/3, which leaves 5×5 of the 17×17 cells that a 299×299 image has there; on a
    smaller map the means are over a grid of 5×5 instead.
    """
    fits = units.border == "valid" and min(shape.height, shape.width) >= PUBLISHED_SIDE
    pool: Node = Pool("avg", (5, 5), (3, 3), name="pool") if fits else GlobalPool(size=(5, 5), name="pool")
    whole = Conv(shape.channels, (5, 5), bias=units.bias, norm=units.norm, activation=units.activation, name="conv1")
    return (pool, units.conv(max(1, shape.channels // 6), 1, name="conv0"), whole, GlobalPool(name="mean"))
