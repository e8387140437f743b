"""BN-Inception, also called Inception-v2 (Ioffe and Szegedy 2015, Batch Normalization, figure 5)."""

from __future__ import annotations

from search_space.blocks.fields import BlockFields
from search_space.blocks.grids import GridA
from search_space.blocks.stems import stem_v1
from search_space.blocks.units import Units
from search_space.blocks.v3 import V3A
from search_space.graph import GlobalPool, Graph, Linear, Seq, Shape

INPUT = Shape(3, 224, 224)
BLOCKS: dict[str, BlockFields] = {
    "3a": V3A(64, 64, 64, 64, 96, 32),
    "3b": V3A(64, 64, 96, 64, 96, 64),
    "3c": GridA(160, 64, 96, 96, k3_reduce=128),
    "4a": V3A(224, 64, 96, 96, 128, 128),
    "4b": V3A(192, 96, 128, 96, 128, 128),
    "4c": V3A(160, 128, 160, 128, 160, 128),
    "4d": V3A(96, 128, 192, 160, 192, 128),
    "4e": GridA(192, 192, 256, 256, k3_reduce=128),
    "5a": V3A(352, 192, 320, 160, 224, 128),
    "5b": V3A(352, 192, 320, 192, 224, 128, pool_kind="max"),
}


def bn_inception(input_shape: Shape = INPUT, classes: int = 1000) -> Graph:
    """Return BN-Inception, without the biases that batch norm cancels.

    Args:
        input_shape: shape of one image, sides of 31 pixels or a multiple of 32.
        classes: number of logits.
    """
    units = Units(border="ceil", count_padding=True)
    blocks = (fields.lower(0, units, f"inception{name}") for name, fields in BLOCKS.items())
    end = (GlobalPool(name="mean"), Linear(classes, name="classifier"))
    return Graph(Seq((stem_v1(64, units), *blocks, *end)), input_shape)
