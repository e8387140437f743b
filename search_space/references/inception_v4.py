"""Inception-v4 (Szegedy et al. 2017, figures 3 to 9) as timm builds it."""

from __future__ import annotations

from search_space.blocks.fields import BlockFields
from search_space.blocks.grids import GridA, GridB
from search_space.blocks.stems import stem_v4
from search_space.blocks.units import Units
from search_space.blocks.v4 import V4A, V4B, V4C
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Norm, Seq, Shape
from search_space.references.layout import Rename, chain, each

INPUT = Shape(3, 299, 299)
BLOCKS: tuple[BlockFields, ...] = (
    *[V4A(64, 96)] * 4,
    GridA(384, 192, 224, 256),
    *[V4B(384, 192, 224, 256, 128)] * 7,
    GridB(192, 192, 256, 320),
    *[V4C(256, 384, 448, 512)] * 3,
)
FIRST = 6  # number of the first block in the published code, which numbers six parts of the stem before it


_A, _B, _C = range(6, 10), range(11, 18), range(19, 22)
LAYOUT: tuple[Rename, ...] = (
    *chain("features", "stem", ("conv1", "conv2", "conv3")),
    ("features.3.conv", "stem.mixed1.conv"),
    *chain("features.4.branch0", "stem.mixed2.short", ("reduce", "conv")),
    *chain("features.4.branch1", "stem.mixed2.long", ("reduce", "row", "column", "conv")),
    ("features.5.conv", "stem.mixed3.conv"),
    *each((*_A, *_B, *_C), ("features.*.branch0", "block*.k1"), ("features.*.branch3.1", "block*.pool.project")),
    *each(
        _A,
        *chain("features.*.branch1", "block*.single", ("reduce", "conv")),
        *chain("features.*.branch2", "block*.deep", ("reduce", "conv0", "conv1")),
    ),
    ("features.10.branch0", "block10.single.conv"),
    *chain("features.10.branch1", "block10.deep", ("reduce", "conv0", "conv1")),
    *each(
        _B,
        *chain("features.*.branch1", "block*.single", ("reduce", "row", "column")),
        *chain("features.*.branch2", "block*.deep", ("reduce", "column0", "row0", "column1", "row1")),
    ),
    *chain("features.18.branch0", "block18.single", ("reduce", "conv")),
    *chain("features.18.branch1", "block18.k7", ("reduce", "row", "column", "conv")),
    *each(
        _C,
        ("features.*.branch1_0", "block*.single.reduce"),
        ("features.*.branch1_1a", "block*.single.fork.row"),
        ("features.*.branch1_1b", "block*.single.fork.column"),
        ("features.*.branch2_0", "block*.deep.reduce"),
        ("features.*.branch2_1", "block*.deep.column"),
        ("features.*.branch2_2", "block*.deep.row"),
        ("features.*.branch2_3a", "block*.deep.fork.row"),
        ("features.*.branch2_3b", "block*.deep.fork.column"),
    ),
    ("last_linear", "classifier"),
)


def inception_v4(input_shape: Shape = INPUT, classes: int = 1000) -> Graph:
    """Return Inception-v4.

    Args:
        input_shape: shape of one image, at least 75 pixels a side.
        classes: number of logits.
    """
    units = Units(Norm(eps=1e-3), border="valid")
    blocks = (fields.lower(0, units, f"block{FIRST + index}") for index, fields in enumerate(BLOCKS))
    end = (GlobalPool(name="mean"), Dropout(0.2, name="dropout"), Linear(classes, name="classifier"))
    return Graph(Seq((stem_v4(32, units), *blocks, *end)), input_shape)
