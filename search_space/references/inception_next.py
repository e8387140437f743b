"""InceptionNeXt (Yu et al. 2024, InceptionNeXt: When Inception Meets ConvNeXt, table 1): atto and tiny."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from search_space.blocks.next import Next, NextGrid
from search_space.blocks.units import Units
from search_space.graph import Conv, GlobalPool, Graph, Linear, Node, Norm, Seq, Shape
from search_space.references.layout import Rename, chain, each

INPUT = Shape(3, 224, 224)


@final
@dataclass(frozen=True, slots=True)
class Size:
    """Size of a network of the family.

    Attributes:
        depths: blocks of each stage.
        widths: channels of each stage.
        block: the block of the first three stages; the last one's MLP expands by 3 instead of 4.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    block: Next


ATTO = Size((2, 2, 6, 2), (40, 80, 160, 320), Next(ratio=0.25, band=9))
TINY = Size((3, 3, 9, 3), (96, 192, 384, 768), Next())


_BLOCK: tuple[Rename, ...] = (
    ("token_mixer.dwconv_hw", "mixer.square.depthwise.conv"),
    ("token_mixer.dwconv_w", "mixer.row.depthwise.conv"),
    ("token_mixer.dwconv_h", "mixer.column.depthwise.conv"),
    ("norm", "norm"),
    ("mlp.fc1", "expand.conv"),
    ("mlp.fc2", "contract.conv"),
    ("gamma", "scale.weight"),
)


def layout(size: Size) -> tuple[Rename, ...]:
    """Return the published names of a network of the family."""
    blocks = ((stage, index) for stage, depth in enumerate(size.depths) for index in range(depth))
    return (
        *chain("stem", "stem", ("conv", "norm")),
        *each(range(1, len(size.depths)), *chain("stages.*.downsample", "grid*", ("norm", "conv.conv"))),
        *(
            (f"stages.{s}.blocks.{i}.{theirs}", f"stage{s}_{i}.body.{ours}")
            for s, i in blocks
            for theirs, ours in _BLOCK
        ),
        ("head.fc1", "hidden.0"),
        ("head.norm", "norm"),
        ("head.fc2", "classifier"),
    )


def inception_next_atto(input_shape: Shape = INPUT, classes: int = 1000) -> Graph:
    """Return InceptionNeXt-atto.

    Args:
        input_shape: shape of one image, at least 32 pixels a side.
        classes: number of logits.
    """
    return _inception_next(ATTO, input_shape, classes)


def inception_next_tiny(input_shape: Shape = INPUT, classes: int = 1000) -> Graph:
    """Return InceptionNeXt-tiny; arguments as of `inception_next_atto`."""
    return _inception_next(TINY, input_shape, classes)


def _inception_next(size: Size, input_shape: Shape, classes: int) -> Graph:
    units = Units()
    nodes: list[Node] = [Conv(size.widths[0], (4, 4), (4, 4), bias=True, norm=Norm(), name="stem")]
    last = len(size.depths) - 1
    for stage, (depth, width) in enumerate(zip(size.depths, size.widths, strict=True)):
        if stage:
            nodes.append(NextGrid(width).lower(0, units, f"grid{stage}"))
        block = replace(size.block, expansion=3) if stage == last else size.block
        nodes += [block.lower(width, units, f"stage{stage}_{index}") for index in range(depth)]
    head = (
        GlobalPool(name="mean"),
        Linear(3 * size.widths[-1], activation="gelu", name="hidden"),
        Norm("layer", 1e-6, name="norm"),
        Linear(classes, name="classifier"),
    )
    return Graph(Seq((*nodes, *head)), input_shape)
