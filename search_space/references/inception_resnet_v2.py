"""Inception-ResNet-v2 (Szegedy et al. 2017, figures 15 to 19) as published in code and built by timm.

The code's stem is Inception-v3's with one block of its own, not the paper's figure 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from search_space.blocks.fields import BlockFields
from search_space.blocks.grids import GridA, GridResnet
from search_space.blocks.resnet import ResnetA, ResnetB, ResnetC
from search_space.blocks.stems import stem_v3
from search_space.blocks.units import Units
from search_space.blocks.v3 import V3A
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Node, Norm, Residual, Seq, Shape
from search_space.references.layout import Rename, chain, each

INPUT = Shape(3, 299, 299)
STAGES: tuple[tuple[str, int, BlockFields, int, BlockFields], ...] = (
    ("mixed5b", 320, V3A(96, 48, 64, 64, 96, 64, side=5), 10, ResnetA(32, 32, 48, 64, 0.17)),
    ("mixed6a", 1088, GridA(384, 256, 256, 384), 20, ResnetB(192, 128, 160, 192, 0.1)),
    ("mixed7a", 2080, GridResnet(256, 384, 288, 320), 9, ResnetC(192, 192, 224, 256, 0.2)),
)
LAST = ResnetC(192, 192, 224, 256, 1.0)


def _residual(theirs: str, ours: str, chains: Mapping[str, tuple[str, ...]]) -> tuple[Rename, ...]:
    """Return the renames of one kind of residual block: 1×1 branch, chains, projection."""
    inner = f"{ours}.body.branches"
    renames: tuple[Rename, ...] = (
        (f"{theirs}.branch0", f"{inner}.k1"),
        (f"{theirs}.conv2d", f"{ours}.body.project.conv"),
    )
    for index, (name, nodes) in enumerate(chains.items(), start=1):
        renames += chain(f"{theirs}.branch{index}", f"{inner}.{name}", nodes)
    return renames


_SYMMETRIC = {"single": ("reduce", "conv"), "deep": ("reduce", "conv0", "conv1")}
_ASYMMETRIC = {"single": ("reduce", "row", "column")}
LAYOUT: tuple[Rename, ...] = (
    ("conv2d_1a", "stem.conv1"),
    ("conv2d_2a", "stem.conv2"),
    ("conv2d_2b", "stem.conv3"),
    ("conv2d_3b", "stem.conv4"),
    ("conv2d_4a", "stem.conv5"),
    ("mixed_5b.branch0", "mixed5b.k1"),
    *chain("mixed_5b.branch1", "mixed5b.single", ("reduce", "conv")),
    *chain("mixed_5b.branch2", "mixed5b.deep", ("reduce", "conv0", "conv1")),
    ("mixed_5b.branch3.1", "mixed5b.pool.project"),
    *each(range(10), *_residual("repeat.*", "mixed5b_*", _SYMMETRIC)),
    ("mixed_6a.branch0", "mixed6a.single.conv"),
    *chain("mixed_6a.branch1", "mixed6a.deep", ("reduce", "conv0", "conv1")),
    *each(range(20), *_residual("repeat_1.*", "mixed6a_*", _ASYMMETRIC)),
    *chain("mixed_7a.branch0", "mixed7a.first", ("reduce", "conv")),
    *chain("mixed_7a.branch1", "mixed7a.second", ("reduce", "conv")),
    *chain("mixed_7a.branch2", "mixed7a.deep", ("reduce", "conv0", "conv1")),
    *each(range(9), *_residual("repeat_2.*", "mixed7a_*", _ASYMMETRIC)),
    *_residual("block8", "mixed7a_9", _ASYMMETRIC),
    ("conv2d_7b", "last"),
    ("classif", "classifier"),
)


def inception_resnet_v2(input_shape: Shape = INPUT, classes: int = 1000) -> Graph:
    """Return Inception-ResNet-v2.

    Args:
        input_shape: shape of one image, at least 75 pixels a side.
        classes: number of logits.
    """
    units = Units(Norm(eps=1e-3), border="valid")
    nodes: list[Node] = [stem_v3(32, units)]
    for name, channels, opening, depth, block in STAGES:
        nodes.append(opening.lower(0, units, name))
        nodes += [block.lower(channels, units, f"{name}_{index}") for index in range(depth)]
    last = LAST.lower(STAGES[-1][1], units, "mixed7a_9")
    assert isinstance(last, Residual)
    nodes.append(replace(last, activation=None, name=last.name))
    end = (GlobalPool(name="mean"), Dropout(0.2, name="dropout"), Linear(classes, name="classifier"))
    return Graph(Seq((*nodes, units.conv(1536, 1, name="last"), *end)), input_shape)
