"""Stems: the layers in front of the first block, one function a publication.

With `same` borders a stem fits images of any size and divides each side by 8, or by 4 if the last pool of the paper's
stem belongs to the stage behind it. A search takes that form, a published network the form of its paper. The stem of
signals keeps their length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from search_space.blocks.units import Units
from search_space.graph import LRN, Concat, Node, Seq


def stem_v1(width: int, units: Units, *, lrn: bool = False) -> Seq:
    """Return GoogLeNet's stem (Szegedy et al. 2015, table 1): 7×7/2, pool, 1×1, 3×3, pool; 3·`width` channels.

    Args:
        width: width of the first two convolutions, 64 in the paper.
        units: makes the convolutions and pools.
        lrn: whether local response normalization stands behind the first pool and in front of the second.
    """
    nodes: list[Node] = [units.conv(width, 7, stride=2, name="conv1"), units.edge_pool(name="pool1")]
    if lrn:
        nodes.append(LRN(name="lrn1"))
    nodes += [units.conv(width, 1, name="conv2"), units.conv(3 * width, 3, name="conv3")]
    if lrn:
        nodes.append(LRN(name="lrn2"))
    return Seq((*nodes, units.edge_pool(name="pool2")), name="stem")


def _opening(width: int, units: Units) -> tuple[Node, ...]:
    """Return the first three 3×3 convolutions of the stems of v3 and v4."""
    return (
        units.edge_conv(width, 3, stride=2, name="conv1"),
        units.edge_conv(width, 3, name="conv2"),
        units.conv(2 * width, 3, name="conv3"),
    )


def stem_v3(width: int, units: Units) -> Seq:
    """Return Inception-v3's stem (Szegedy et al. 2016, table 1, published code): 6·`width` channels; `width` is 32."""
    nodes = (
        units.edge_pool(name="pool1"),
        units.conv((5 * width + 1) // 2, 1, name="conv4"),
        units.edge_conv(6 * width, 3, name="conv5"),
        units.edge_pool(name="pool2"),
    )
    return Seq(_opening(width, units) + nodes, name="stem")


def stem_v4(width: int, units: Units) -> Seq:
    """Return Inception-v4's stem (Szegedy et al. 2017, figure 3): 12·`width` channels; `width` is 32."""
    first = Concat((units.edge_pool(), units.edge_conv(3 * width, 3, stride=2, name="conv")), name="mixed1")
    short = (units.conv(2 * width, 1, name="reduce"), units.edge_conv(3 * width, 3, name="conv"))
    long = (
        units.conv(2 * width, 1, name="reduce"),
        units.conv(2 * width, (1, 7), name="row"),
        units.conv(2 * width, (7, 1), name="column"),
        units.edge_conv(3 * width, 3, name="conv"),
    )
    second = Concat((Seq(short, name="short"), Seq(long, name="long")), name="mixed2")
    third = Concat((units.edge_conv(6 * width, 3, stride=2, name="conv"), units.edge_pool()), name="mixed3")
    return Seq((*_opening(width, units), first, second, third), name="stem")


def stem_time(width: int, units: Units) -> Seq:
    """Return the stem of signals, images of height 1: a 1×7 convolution; `width` channels at the full length."""
    return Seq((units.conv(width, (1, 7), name="conv"),), name="stem")


STEMS: Mapping[str, Callable[[int, Units], Seq]] = {"v1": stem_v1, "v3": stem_v3, "v4": stem_v4, "time": stem_time}
