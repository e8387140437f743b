"""Inception-v3 as published in code and built by torchvision and timm.

Szegedy et al. 2016 (Rethinking the Inception Architecture for Computer Vision), table 1 and figures 5 to 10.
"""

from __future__ import annotations

from search_space.blocks.fields import BlockFields
from search_space.blocks.grids import GridA, GridB
from search_space.blocks.heads import auxiliary
from search_space.blocks.stems import stem_v3
from search_space.blocks.units import Units
from search_space.blocks.v3 import V3A, V3B, V3C
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Node, Norm, Seq, Shape
from search_space.references.layout import Rename, each

INPUT = Shape(3, 299, 299)
BLOCKS: dict[str, BlockFields] = {
    "5b": V3A(64, 48, 64, 64, 96, 32, side=5),
    "5c": V3A(64, 48, 64, 64, 96, 64, side=5),
    "5d": V3A(64, 48, 64, 64, 96, 64, side=5),
    "6a": GridA(384, 64, 96, 96),
    "6b": V3B(192, 128, 128, 192, 192),
    "6c": V3B(192, 160, 160, 192, 192),
    "6d": V3B(192, 160, 160, 192, 192),
    "6e": V3B(192, 192, 192, 192, 192),
    "7a": GridB(192, 320, 192, 192),
    "7b": V3C(320, 384, 448, 384, 192),
    "7c": V3C(320, 384, 448, 384, 192),
}
TAPPED = "6e"

_A, _B, _C = ("5b", "5c", "5d"), ("6b", "6c", "6d", "6e"), ("7b", "7c")
LAYOUT: tuple[Rename, ...] = (
    ("Conv2d_1a_3x3", "stem.conv1"),
    ("Conv2d_2a_3x3", "stem.conv2"),
    ("Conv2d_2b_3x3", "stem.conv3"),
    ("Conv2d_3b_1x1", "stem.conv4"),
    ("Conv2d_4a_3x3", "stem.conv5"),
    *each((*_A, *_B, *_C), ("Mixed_*.branch1x1", "mixed*.k1"), ("Mixed_*.branch_pool", "mixed*.pool.project")),
    *each(_A, ("Mixed_*.branch5x5_1", "mixed*.single.reduce"), ("Mixed_*.branch5x5_2", "mixed*.single.conv")),
    *each(
        (*_A, "6a"),
        ("Mixed_*.branch3x3dbl_1", "mixed*.deep.reduce"),
        ("Mixed_*.branch3x3dbl_2", "mixed*.deep.conv0"),
        ("Mixed_*.branch3x3dbl_3", "mixed*.deep.conv1"),
    ),
    ("Mixed_6a.branch3x3", "mixed6a.single.conv"),
    *each(
        _B,
        ("Mixed_*.branch7x7_1", "mixed*.single.reduce"),
        ("Mixed_*.branch7x7_2", "mixed*.single.row"),
        ("Mixed_*.branch7x7_3", "mixed*.single.column"),
        ("Mixed_*.branch7x7dbl_1", "mixed*.deep.reduce"),
        ("Mixed_*.branch7x7dbl_2", "mixed*.deep.column0"),
        ("Mixed_*.branch7x7dbl_3", "mixed*.deep.row0"),
        ("Mixed_*.branch7x7dbl_4", "mixed*.deep.column1"),
        ("Mixed_*.branch7x7dbl_5", "mixed*.deep.row1"),
    ),
    ("Mixed_7a.branch3x3_1", "mixed7a.single.reduce"),
    ("Mixed_7a.branch3x3_2", "mixed7a.single.conv"),
    ("Mixed_7a.branch7x7x3_1", "mixed7a.k7.reduce"),
    ("Mixed_7a.branch7x7x3_2", "mixed7a.k7.row"),
    ("Mixed_7a.branch7x7x3_3", "mixed7a.k7.column"),
    ("Mixed_7a.branch7x7x3_4", "mixed7a.k7.conv"),
    *each(
        _C,
        ("Mixed_*.branch3x3_1", "mixed*.single.reduce"),
        ("Mixed_*.branch3x3_2a", "mixed*.single.fork.row"),
        ("Mixed_*.branch3x3_2b", "mixed*.single.fork.column"),
        ("Mixed_*.branch3x3dbl_1", "mixed*.deep.reduce"),
        ("Mixed_*.branch3x3dbl_2", "mixed*.deep.conv"),
        ("Mixed_*.branch3x3dbl_3a", "mixed*.deep.fork.row"),
        ("Mixed_*.branch3x3dbl_3b", "mixed*.deep.fork.column"),
    ),
    *each((0, 1), ("AuxLogits.conv*", "aux.head.conv*")),
    ("AuxLogits.fc", "aux.head.classifier"),
    ("fc", "classifier"),
)


def inception_v3(input_shape: Shape = INPUT, classes: int = 1000, *, auxiliaries: bool = True) -> Graph:
    """Return Inception-v3.

    Args:
        input_shape: shape of one image, at least 75 pixels a side.
        classes: number of logits.
        auxiliaries: whether the network has its auxiliary classifier.
    """
    units = Units(Norm(eps=1e-3), border="valid", count_padding=True)
    nodes: list[Node] = [stem_v3(32, units)]
    shape = nodes[0].output_shape(input_shape, "stem")
    for name, fields in BLOCKS.items():
        nodes.append(fields.lower(0, units, f"mixed{name}"))
        shape = nodes[-1].output_shape(shape, f"mixed{name}")
        if name == TAPPED and auxiliaries:
            nodes.append(auxiliary("v3", shape, classes, units))
    end = (GlobalPool(name="mean"), Dropout(0.5, name="dropout"), Linear(classes, name="classifier"))
    return Graph(Seq((*nodes, *end)), input_shape)
