"""ResNet-20 for CIFAR (He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2): a baseline.

Shortcuts that change the size are projections (option B of the publication); its option A, subsampling padded with
zeros, has 2,752 parameters less.
"""

from __future__ import annotations

from dataclasses import replace

from search_space.blocks.units import Units
from search_space.graph import GlobalPool, Graph, Identity, Linear, Node, Residual, Seq, Shape
from search_space.references.widths import scaled

INPUT = Shape(3, 32, 32)
WIDTHS = (16, 32, 64)
BLOCKS = 3


def resnet20(input_shape: Shape = INPUT, classes: int = 10, *, width: float = 1.0) -> Graph:
    """Return ResNet-20: three stages of three blocks of two 3×3 convolutions.

    Args:
        input_shape: shape of one image, of any size.
        classes: number of logits.
        width: multiplier of every width, in (0, 1].
    """
    units = Units()
    nodes: list[Node] = [units.conv(scaled(WIDTHS[0], width), 3, name="conv1")]
    for stage, channels in enumerate(WIDTHS):
        out, first = scaled(channels, width), 2 if stage else 1
        nodes += [_block(out, 1 if n else first, units, f"stage{stage}block{n}") for n in range(BLOCKS)]
    return Graph(Seq((*nodes, GlobalPool(name="mean"), Linear(classes, name="classifier"))), input_shape)


def _block(width: int, stride: int, units: Units, name: str) -> Residual:
    """Return two 3×3 convolutions beside a shortcut, a projection where the block has stride 2."""
    linear = replace(units, activation=None)
    body = (units.conv(width, 3, stride=stride, name="conv1"), linear.conv(width, 3, name="conv2"))
    shortcut = Identity(name="shortcut") if stride == 1 else linear.conv(width, 1, stride=stride, name="shortcut")
    return Residual(Seq(body, name="body"), shortcut, units.activation, name=name)
