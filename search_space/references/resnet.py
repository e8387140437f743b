"""ResNet-20 for CIFAR (He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2): a baseline.

Shortcuts that change the size are projections (option B of the publication); its option A, subsampling padded with
zeros, has 2,752 parameters less.
"""

from __future__ import annotations

from dataclasses import replace

from search_space.blocks.units import Units
from search_space.graph import GlobalPool, Graph, Identity, Linear, Node, Residual, Seq, Shape

INPUT = Shape(3, 32, 32)
WIDTHS = (16, 32, 64)
BLOCKS = 3


def resnet20(input_shape: Shape = INPUT, classes: int = 10) -> Graph:
    """Return ResNet-20: three stages of three blocks of two 3×3 convolutions.

    Args:
        input_shape: shape of one image, of any size.
        classes: number of logits.
    """
    units = Units()
    nodes: list[Node] = [units.conv(WIDTHS[0], 3, name="conv1")]
    before = WIDTHS[0]
    for stage, width in enumerate(WIDTHS):
        for index in range(BLOCKS):
            nodes.append(_block(before, width, units, f"stage{stage}block{index}"))
            before = width
    return Graph(Seq((*nodes, GlobalPool(name="mean"), Linear(classes, name="classifier"))), input_shape)


def _block(before: int, width: int, units: Units, name: str) -> Residual:
    """Return two 3×3 convolutions beside a shortcut; a block that widens has stride 2."""
    stride = 1 if width == before else 2
    linear = replace(units, activation=None)
    body = (units.conv(width, 3, stride=stride, name="conv1"), linear.conv(width, 3, name="conv2"))
    shortcut = Identity(name="shortcut") if stride == 1 else linear.conv(width, 1, stride=stride, name="shortcut")
    return Residual(Seq(body, name="body"), shortcut, units.activation, name=name)
