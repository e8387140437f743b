"""Memory of a network's activations in eager PyTorch: an upper bound of what its modules hold at once in inference.

`cost` counts the tensors that an ideal runtime holds: norm and activation in place, an input freed after its last read.
Eager PyTorch holds more: a module's input while the module runs, also where nothing inside reads it any more; the input
of a norm beside its output; the indices of max pooling. Workspaces of kernels are not counted in either.
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
