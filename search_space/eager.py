"""Memory of a network's activations in eager PyTorch: an upper bound of what its modules hold at once in inference.

`cost` counts the tensors that an ideal runtime holds: norm and activation in place, an input freed after its last read.
Eager PyTorch holds more: a module's input while the module runs, also where nothing inside reads it any more; the input
of a norm beside its output; the indices of max pooling. Workspaces of kernels are counted in neither; `workspace_mib`
bounds them for convolutions on a processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from search_space.cost import FLOAT_BYTES, MIB, cost
from search_space.graph import (
    LRN,
    Activation,
    Concat,
    Conv,
    Dropout,
    GlobalPool,
    Graph,
    Identity,
    Linear,
    Node,
    Norm,
    Pool,
    Residual,
    Seq,
    Shape,
    Slice,
    Tap,
    walk,
)

BLOCK = 16
"""Channels that kernels of processors handle at once, to a multiple of which they fill up."""
SMALL = 20_480
"""Values of an input up to which a convolution of one image is a product of matrices."""
INDEX = 2
"""Values of four bytes that an index takes."""


class Held(NamedTuple):
    """Memory of a node's module.

    Attributes:
        output: shape of its output.
        peak: largest number of values alive while it runs, its input among them.
        alias: whether the output is the input, or a view of it.
    """

    output: Shape
    peak: int
    alias: bool = False


def eager_mib(graph: Graph) -> float:
    """Return an upper bound of the activation memory of a network in eager PyTorch at batch 1, in MiB."""
    return FLOAT_BYTES * _held(graph.root, graph.input).peak / MIB


def workspace_mib(graph: Graph, batch: int = 1) -> float:
    """Return an upper bound of the workspace of a convolution of the network on a processor, in MiB.

    It holds filters, input and output with their channels in blocks; or, for one small image, the patches under the
    filters side by side as columns of a matrix. Which of the two is torch's rule, as seen in the allocations of torch
    2.13.

    Args:
        graph: the network, without auxiliary heads.
        batch: images, at least 1.
    """
    values = [_workspace(visit.leaf, visit.input, visit.output, batch) for visit in walk(graph)]
    return FLOAT_BYTES * max(values, default=0) / MIB


def filters_mib(graph: Graph) -> float:
    """Return the memory of the largest convolution's filters with their channels in blocks, in MiB.

    Args:
        graph: the network, without auxiliary heads.
    """
    values = [_filters(visit.leaf, visit.input) for visit in walk(graph) if isinstance(visit.leaf, Conv)]
    return FLOAT_BYTES * max(values, default=0) / MIB


def _workspace(leaf: Node, shape: Shape, output: Shape, batch: int) -> int:
    if not isinstance(leaf, Conv):
        return 0
    if batch == 1 and leaf.groups == 1 and min(leaf.kernel) <= 3 and shape.size <= SMALL:
        return shape.channels * leaf.kernel[0] * leaf.kernel[1] * output.height * output.width
    images = _filled(shape.channels) * shape.height * shape.width
    images += _filled(output.channels) * output.height * output.width
    return _filters(leaf, shape) + batch * images


def _filters(leaf: Conv, shape: Shape) -> int:
    cells, inputs = leaf.kernel[0] * leaf.kernel[1], shape.channels // leaf.groups
    if leaf.groups > 1:
        return _filled(leaf.groups) * _filled(leaf.channels // leaf.groups) * inputs * cells
    return _filled(leaf.channels) * _filled(inputs) * cells


def _filled(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def weights_mib(graph: Graph) -> float:
    """Return the memory of the parameters and the statistics of batch norms in float32, in MiB."""
    values = cost(graph).params
    for visit in walk(graph):
        match visit.leaf:
            case Conv(norm=Norm(kind="batch")) | Norm(kind="batch"):
                values += 2 * visit.output.channels + INDEX
    return FLOAT_BYTES * values / MIB


def _held(node: Node, shape: Shape) -> Held:
    return _HELD.get(type(node), _leaf)(node, shape)


def _leaf(node: Node, shape: Shape) -> Held:
    output = node.output_shape(shape)
    return Held(output, shape.size + output.size)


def _alias(node: Node, shape: Shape) -> Held:
    return Held(node.output_shape(shape), shape.size, alias=True)


def _conv(node: Conv, shape: Shape) -> Held:
    output = node.output_shape(shape)
    copies = 1
    if node.norm is not None:
        copies = 2 if node.norm.kind == "batch" else 3
    elif node.activation == "gelu":
        copies = 2
    return Held(output, shape.size + copies * output.size)


def _linear(node: Linear, shape: Shape) -> Held:
    output = node.output_shape(shape)
    return Held(output, shape.size + (2 if node.activation == "gelu" else 1) * output.size)


def _norm(node: Norm, shape: Shape) -> Held:
    return Held(shape, (2 if node.kind == "batch" else 3) * shape.size)


def _pool(node: Pool | GlobalPool, shape: Shape) -> Held:
    output = node.output_shape(shape)
    return Held(output, shape.size + output.size * (1 + (INDEX if node.kind == "max" else 0)))


def _lrn(node: LRN, shape: Shape) -> Held:
    """Square, padded square, and two of the mean, its multiple, its power and the quotient."""
    return Held(shape, 5 * shape.size + (node.size - 1) * shape.height * shape.width)


def _seq(node: Seq, shape: Shape) -> Held:
    peak, alias, current = shape.size, True, shape
    for child in node.nodes:
        inner = _held(child, current)
        peak = max(peak, (0 if alias else shape.size) + inner.peak)
        current, alias = inner.output, alias and inner.alias
    return Held(current, peak, alias)


def _concat(node: Concat, shape: Shape) -> Held:
    held = peak = channels = 0
    for branch in node.branches:
        inner = _held(branch, shape)
        peak = max(peak, held + inner.peak)
        held += 0 if inner.alias else inner.output.size
        channels += inner.output.channels
    if len(node.branches) == 1:
        return Held(inner.output, peak, inner.alias)
    output = Shape(channels, inner.output.height, inner.output.width)
    return Held(output, max(peak, shape.size + held + output.size))


def _residual(node: Residual, shape: Shape) -> Held:
    body, shortcut = _held(node.body, shape), _held(node.shortcut, shape)
    first = 0 if body.alias else body.output.size
    summing = shape.size + first + (0 if shortcut.alias else body.output.size) + body.output.size
    return Held(body.output, max(body.peak, first + shortcut.peak, summing))


_HELD: Mapping[type, Callable[..., Held]] = {
    Conv: _conv,
    Linear: _linear,
    Norm: _norm,
    Pool: _pool,
    GlobalPool: _pool,
    LRN: _lrn,
    Seq: _seq,
    Concat: _concat,
    Residual: _residual,
    Tap: _alias,
    Slice: _alias,
    Identity: _alias,
    Dropout: _alias,
    Activation: _leaf,
}
