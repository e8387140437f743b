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
from search_space.references.layout import Rename

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

_A, _B, _C = r"Mixed_(5[b-d])", r"Mixed_(6[b-e])", r"Mixed_(7[bc])"
LAYOUT: tuple[Rename, ...] = (
    (r"Conv2d_1a_3x3", r"stem.conv1"),
    (r"Conv2d_2a_3x3", r"stem.conv2"),
    (r"Conv2d_2b_3x3", r"stem.conv3"),
    (r"Conv2d_3b_1x1", r"stem.conv4"),
    (r"Conv2d_4a_3x3", r"stem.conv5"),
    (r"Mixed_(\d[b-e])\.branch1x1", r"mixed\1.k1"),
    (r"Mixed_(\d[b-e])\.branch_pool", r"mixed\1.pool.project"),
    (_A + r"\.branch5x5_1", r"mixed\1.single.reduce"),
    (_A + r"\.branch5x5_2", r"mixed\1.single.conv"),
    (_A + r"\.branch3x3dbl_1", r"mixed\1.deep.reduce"),
    (_A + r"\.branch3x3dbl_2", r"mixed\1.deep.conv0"),
    (_A + r"\.branch3x3dbl_3", r"mixed\1.deep.conv1"),
    (r"Mixed_6a\.branch3x3", r"mixed6a.single.conv"),
    (r"Mixed_6a\.branch3x3dbl_1", r"mixed6a.deep.reduce"),
    (r"Mixed_6a\.branch3x3dbl_2", r"mixed6a.deep.conv0"),
    (r"Mixed_6a\.branch3x3dbl_3", r"mixed6a.deep.conv1"),
    (_B + r"\.branch7x7_1", r"mixed\1.single.reduce"),
    (_B + r"\.branch7x7_2", r"mixed\1.single.row"),
    (_B + r"\.branch7x7_3", r"mixed\1.single.column"),
    (_B + r"\.branch7x7dbl_1", r"mixed\1.deep.reduce"),
    (_B + r"\.branch7x7dbl_2", r"mixed\1.deep.column0"),
    (_B + r"\.branch7x7dbl_3", r"mixed\1.deep.row0"),
    (_B + r"\.branch7x7dbl_4", r"mixed\1.deep.column1"),
    (_B + r"\.branch7x7dbl_5", r"mixed\1.deep.row1"),
    (r"Mixed_7a\.branch3x3_1", r"mixed7a.single.reduce"),
    (r"Mixed_7a\.branch3x3_2", r"mixed7a.single.conv"),
    (r"Mixed_7a\.branch7x7x3_1", r"mixed7a.k7.reduce"),
    (r"Mixed_7a\.branch7x7x3_2", r"mixed7a.k7.row"),
    (r"Mixed_7a\.branch7x7x3_3", r"mixed7a.k7.column"),
    (r"Mixed_7a\.branch7x7x3_4", r"mixed7a.k7.conv"),
    (_C + r"\.branch3x3_1", r"mixed\1.single.reduce"),
    (_C + r"\.branch3x3_2a", r"mixed\1.single.fork.row"),
    (_C + r"\.branch3x3_2b", r"mixed\1.single.fork.column"),
    (_C + r"\.branch3x3dbl_1", r"mixed\1.deep.reduce"),
    (_C + r"\.branch3x3dbl_2", r"mixed\1.deep.conv"),
    (_C + r"\.branch3x3dbl_3a", r"mixed\1.deep.fork.row"),
    (_C + r"\.branch3x3dbl_3b", r"mixed\1.deep.fork.column"),
    (r"AuxLogits\.conv([01])", r"aux.head.conv\1"),
    (r"AuxLogits\.fc", r"aux.head.classifier"),
    (r"fc", r"classifier"),
)


def inception_v3(input_shape: Shape = INPUT, classes: int = 1000, *, auxiliaries: bool = True) -> Graph:
    """Inception-v3.

    Args:
        input_shape: shape of one image, at least 75 pixels a side.
        classes: number of logits.
        auxiliaries: whether the auxiliary classifier is there, for training.
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
