"""MobileNetV2 (Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, table 2): a baseline.

An inverted residual expands its input by a 1×1 convolution, convolves each channel by a 3×3 and projects the result to
a narrow output without activation.

Five layers of stride 2 leave a map of 7×7 pixels of an image of 224×224. Of an image of fewer than 64 pixels a side
they would leave next to nothing, so that the first of them have stride 1 there: as many as it takes for a last map of
at least 4×4. At 32×32 two of the five are left out, as is usual for CIFAR, at 16×16 three and at 8×8 four.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from search_space.blocks.units import Units
from search_space.graph import Conv, Dropout, GlobalPool, Graph, Identity, Linear, Node, Residual, Seq, Shape
from search_space.references.layout import Rename
from search_space.references.widths import scaled

INPUT = Shape(3, 224, 224)
STEM, LAST = 32, 1280
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion t, output width c, blocks n and stride s of the first block of each row of the paper's table 2."""
SMALL, LEAST_MAP = 64, 4
"""Side of an image from which on the strides are the paper's, and least side of the last map below."""


def mobilenet_v2(input_shape: Shape = INPUT, classes: int = 1000, *, width: float = 1.0) -> Graph:
    """Return MobileNetV2.

    Args:
        input_shape: shape of one image, of any size.
        classes: number of logits.
        width: multiplier of every width, in (0, 1]; unlike in the paper, of that of the last convolution too.
    """
    units = Units(activation="relu6")
    strides = _strides(min(input_shape.height, input_shape.width))
    before = scaled(STEM, width)
    nodes: list[Node] = [units.conv(before, 3, stride=next(strides), name="stem")]
    index = 1
    for expansion, channels, count, stride in STAGES:
        out = scaled(channels, width)
        for place in range(count):
            step = next(strides) if stride == 2 and place == 0 else 1
            nodes.append(_inverted_residual(before, out, expansion, step, units, f"block{index}"))
            before, index = out, index + 1
    end = (GlobalPool(name="mean"), Dropout(0.2, name="dropout"), Linear(classes, name="classifier"))
    return Graph(Seq((*nodes, units.conv(scaled(LAST, width), 1, name="last"), *end)), input_shape)


def _strides(side: int) -> Iterator[int]:
    """Yield the strides of the five layers that reduce, for images of this side.

    >>> [list(_strides(side)) for side in (64, 32, 8)]
    [[2, 2, 2, 2, 2], [1, 1, 2, 2, 2], [1, 1, 1, 1, 2]]
    """
    reducing = 1 + sum(stride == 2 for _, _, _, stride in STAGES)
    kept = reducing
    while side < SMALL and kept and side < LEAST_MAP * 2**kept:
        kept -= 1
    yield from (1 if place < reducing - kept else 2 for place in range(reducing))


def _inverted_residual(before: int, out: int, expansion: int, stride: int, units: Units, name: str) -> Node:
    """Return a block; the input is added where the output has its shape."""
    inner = expansion * before
    linear: Conv = replace(units, activation=None).conv(out, 1, name="project")
    parts: list[Node] = [units.conv(inner, 1, name="expand")] if expansion > 1 else []
    parts += [units.conv(inner, 3, stride=stride, groups=inner, name="depthwise"), linear]
    if stride > 1 or before != out:
        return Seq(tuple(parts), name=name)
    return Residual(Seq(tuple(parts), name="body"), Identity(name="shortcut"), name=name)


def _layout() -> Iterator[Rename]:
    """Yield the published names, those of torchvision's `mobilenet_v2`."""
    yield from (("features.0.0", "stem.conv"), ("features.0.1", "stem.norm"))
    before, index = STEM, 1
    for expansion, out, count, stride in STAGES:
        for place in range(count):
            theirs = f"features.{index}.conv"
            added = before == out and (stride == 1 or place > 0)
            ours = f"block{index}.body" if added else f"block{index}"
            names = ("expand", "depthwise") if expansion > 1 else ("depthwise",)
            for part, name in enumerate(names):
                yield from (
                    (f"{theirs}.{part}.0", f"{ours}.{name}.conv"),
                    (f"{theirs}.{part}.1", f"{ours}.{name}.norm"),
                )
            yield f"{theirs}.{len(names)}", f"{ours}.project.conv"
            yield f"{theirs}.{len(names) + 1}", f"{ours}.project.norm"
            before, index = out, index + 1
    yield from ((f"features.{index}.0", "last.conv"), (f"features.{index}.1", "last.norm"))
    yield "classifier.1", "classifier"


LAYOUT = tuple(_layout())
