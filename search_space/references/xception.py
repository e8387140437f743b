"""Xception (Chollet 2017, Deep Learning with Depthwise Separable Convolutions, figure 5)."""

from __future__ import annotations

from search_space.blocks.fields import BlockFields
from search_space.blocks.units import Units
from search_space.blocks.xception import Xception, XceptionGrid, separable
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Node, Seq, Shape
from search_space.references.layout import Rename

INPUT = Shape(3, 299, 299)
BLOCKS: tuple[BlockFields, ...] = (
    XceptionGrid(128, first="none"),
    XceptionGrid(256),
    XceptionGrid(728),
    *[Xception(728)] * 8,
    XceptionGrid(1024, middle="in"),
)


def _published(place: str, ours: str, first: int) -> tuple[Rename, ...]:
    """Return the renames of a separable convolution, whose norm follows it in a numbered sequence."""
    return (
        (f"{place}.{first}.conv1", f"{ours}.depthwise.conv"),
        (f"{place}.{first}.pointwise", f"{ours}.pointwise.conv"),
        (f"{place}.{first + 1}", f"{ours}.pointwise.norm"),
    )


def _layout() -> tuple[Rename, ...]:
    """Return the published names, those of timm's `legacy_xception`."""
    renames: list[Rename] = [("fc", "classifier")]
    for index in (1, 2):
        renames += [(f"conv{index}", f"conv{index}.conv"), (f"bn{index}", f"conv{index}.norm")]
        theirs, ours = f"conv{index + 2}", f"separable{index}"
        renames += [(f"{theirs}.conv1", f"{ours}.depthwise.conv"), (f"{theirs}.pointwise", f"{ours}.pointwise.conv")]
        renames += [(f"bn{index + 2}", f"{ours}.pointwise.norm")]
    for index, fields in enumerate(BLOCKS, start=1):
        offset = 0 if isinstance(fields, XceptionGrid) and fields.first == "none" else 1
        count = 2 if isinstance(fields, XceptionGrid) else 3
        for part in range(count):
            renames += _published(f"block{index}.rep", f"block{index}.body.separable{part}", offset + 3 * part)
        if isinstance(fields, XceptionGrid):
            renames += [(f"block{index}.skip", f"block{index}.shortcut.conv")]
            renames += [(f"block{index}.skipbn", f"block{index}.shortcut.norm")]
    return tuple(renames)


LAYOUT = _layout()


def xception(input_shape: Shape = INPUT, classes: int = 1000) -> Graph:
    """Return Xception.

    Args:
        input_shape: shape of one image, at least 7 pixels a side (71 in the publication).
        classes: number of logits.
    """
    units = Units(border="valid")
    shape = input_shape
    nodes: list[Node] = [units.edge_conv(32, 3, stride=2, name="conv1"), units.edge_conv(64, 3, name="conv2")]
    for node in nodes:
        shape = node.output_shape(shape, node.name)
    for index, fields in enumerate(BLOCKS, start=1):
        nodes.append(fields.lower(shape.channels, units, f"block{index}"))
        shape = nodes[-1].output_shape(shape, nodes[-1].name)
    nodes.append(separable(shape.channels, 1536, units, activation="relu", name="separable1"))
    nodes.append(separable(1536, 2048, units, activation="relu", name="separable2"))
    end = (GlobalPool(name="mean"), Dropout(0.5, name="dropout"), Linear(classes, name="classifier"))
    return Graph(Seq((*nodes, *end)), input_shape)
