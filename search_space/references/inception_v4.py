"""Inception-v4 (Szegedy et al. 2017, figures 3 to 9) as timm builds it."""

from __future__ import annotations

from search_space.blocks.fields import BlockFields
from search_space.blocks.grids import GridA, GridB
from search_space.blocks.stems import stem_v4
from search_space.blocks.units import Units
from search_space.blocks.v4 import V4A, V4B, V4C
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Norm, Seq, Shape
from search_space.references.layout import Rename

INPUT = Shape(3, 299, 299)
BLOCKS: tuple[BlockFields, ...] = (
    *[V4A(64, 96)] * 4,
    GridA(384, 192, 224, 256),
    *[V4B(384, 192, 224, 256, 128)] * 7,
    GridB(192, 192, 256, 320),
    *[V4C(256, 384, 448, 512)] * 3,
)
FIRST = 6  # what the publications' own numbering gives the first block: six parts of the stem stand before it


def _numbers(first: int, last: int) -> str:
    return "(" + "|".join(str(number) for number in range(first, last + 1)) + ")"


_A, _B, _C = (rf"features\.{_numbers(*span)}" for span in ((6, 9), (11, 17), (19, 21)))
LAYOUT: tuple[Rename, ...] = (
    (r"features\.0", r"stem.conv1"),
    (r"features\.1", r"stem.conv2"),
    (r"features\.2", r"stem.conv3"),
    (r"features\.3\.conv", r"stem.mixed1.conv"),
    (r"features\.4\.branch0\.0", r"stem.mixed2.short.reduce"),
    (r"features\.4\.branch0\.1", r"stem.mixed2.short.conv"),
    (r"features\.4\.branch1\.0", r"stem.mixed2.long.reduce"),
    (r"features\.4\.branch1\.1", r"stem.mixed2.long.row"),
    (r"features\.4\.branch1\.2", r"stem.mixed2.long.column"),
    (r"features\.4\.branch1\.3", r"stem.mixed2.long.conv"),
    (r"features\.5\.conv", r"stem.mixed3.conv"),
    (rf"(?:{_A}|{_B}|{_C})\.branch0", r"block\1\2\3.k1"),
    (rf"(?:{_A}|{_B}|{_C})\.branch3\.1", r"block\1\2\3.pool.project"),
    (_A + r"\.branch1\.0", r"block\1.single.reduce"),
    (_A + r"\.branch1\.1", r"block\1.single.conv"),
    (_A + r"\.branch2\.0", r"block\1.deep.reduce"),
    (_A + r"\.branch2\.([12])", r"block\1.deep.conv\2"),
    (r"features\.10\.branch0", r"block10.single.conv"),
    (r"features\.10\.branch1\.0", r"block10.deep.reduce"),
    (r"features\.10\.branch1\.([12])", r"block10.deep.conv\1"),
    (_B + r"\.branch1\.0", r"block\1.single.reduce"),
    (_B + r"\.branch1\.1", r"block\1.single.row"),
    (_B + r"\.branch1\.2", r"block\1.single.column"),
    (_B + r"\.branch2\.0", r"block\1.deep.reduce"),
    (_B + r"\.branch2\.1", r"block\1.deep.column0"),
    (_B + r"\.branch2\.2", r"block\1.deep.row0"),
    (_B + r"\.branch2\.3", r"block\1.deep.column1"),
    (_B + r"\.branch2\.4", r"block\1.deep.row1"),
    (r"features\.18\.branch0\.0", r"block18.single.reduce"),
    (r"features\.18\.branch0\.1", r"block18.single.conv"),
    (r"features\.18\.branch1\.0", r"block18.k7.reduce"),
    (r"features\.18\.branch1\.1", r"block18.k7.row"),
    (r"features\.18\.branch1\.2", r"block18.k7.column"),
    (r"features\.18\.branch1\.3", r"block18.k7.conv"),
    (_C + r"\.branch1_0", r"block\1.single.reduce"),
    (_C + r"\.branch1_1a", r"block\1.single.fork.row"),
    (_C + r"\.branch1_1b", r"block\1.single.fork.column"),
    (_C + r"\.branch2_0", r"block\1.deep.reduce"),
    (_C + r"\.branch2_1", r"block\1.deep.column"),
    (_C + r"\.branch2_2", r"block\1.deep.row"),
    (_C + r"\.branch2_3a", r"block\1.deep.fork.row"),
    (_C + r"\.branch2_3b", r"block\1.deep.fork.column"),
    (r"last_linear", r"classifier"),
)


def inception_v4(input_shape: Shape = INPUT, classes: int = 1000) -> Graph:
    """Inception-v4.

    Args:
        input_shape: shape of one image, at least 75 pixels a side.
        classes: number of logits.
    """
    units = Units(Norm(eps=1e-3), border="valid")
    blocks = (fields.lower(0, units, f"block{FIRST + index}") for index, fields in enumerate(BLOCKS))
    end = (GlobalPool(name="mean"), Dropout(0.2, name="dropout"), Linear(classes, name="classifier"))
    return Graph(Seq((stem_v4(32, units), *blocks, *end)), input_shape)
