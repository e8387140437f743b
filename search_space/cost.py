"""Cost of a network, exact and known before any training: one fold over the graph.

* Parameters: all that are trained, so without the running statistics of batch norm.
* MACs: multiply–accumulates of convolutions and linear layers, for one image. FLOPs would be twice that.
* Activation memory: the peak of the bytes alive at once in inference at batch 1, in float32, in this execution order:
  nodes run depth first and in order, one at a time. A leaf holds its input while it writes its output, a new tensor; a
  norm and an activation that belong to a convolution or a linear layer work in place; identities, dropout and taps pass
  their input on. A tensor is freed after the last node that reads it. A concatenation of several branches holds the
  outputs of all of them while it writes the joined tensor. A residual adds the shortcut into the body's output, or into
  a new tensor if the body only passes its input on. Weights are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from search_space.graph import (
    LRN,
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
    Scale,
    Seq,
    Shape,
    Tap,
    Visit,
    child_path,
    walk,
)

FLOAT_BYTES = 4
INDEX_BYTES = 8
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """Exact cost of one network.

    Attributes:
        params: trained parameters.
        macs: multiply–accumulates for one image.
        activation_bytes: peak of activation memory at batch 1, in the execution order of this module's docstring.
    """

    params: int
    macs: int
    activation_bytes: int

    @property
    def memory_mib(self) -> float:
        """Peak of activation memory at batch 1, in MiB."""
        return self.activation_bytes / MIB


@dataclass(frozen=True, slots=True)
class Row:
    """Cost of one part of a network.

    Attributes:
        path: path of the part.
        params: its trained parameters.
        macs: its multiply–accumulates for one image.
        output: shape of its output.
    """

    path: str
    params: int
    macs: int
    output: Shape


class Part(NamedTuple):
    """Cost of a node within a network.

    Attributes:
        output: shape of its output.
        params: its trained parameters.
        macs: its multiply–accumulates for one image.
        peak: largest number of values alive at once while it runs, its input among them.
        alias: whether the output is the input itself.
    """

    output: Shape
    params: int
    macs: int
    peak: int
    alias: bool = False


def cost(graph: Graph, *, training: bool = False) -> Cost:
    """Return the cost of a network for one image.

    Args:
        graph: the network.
        training: whether auxiliary heads count, which run in training alone.
    """
    part = _measure(graph.root, graph.input, False, training)
    return Cost(part.params, part.macs, FLOAT_BYTES * part.peak)


def measure(node: Node, shape: Shape, *, keep: bool = False) -> Part:
    """Return the cost of a node on an input of `shape` in inference; `keep` says that the input is read after it."""
    return _measure(node, shape, keep, False)


def leaf_params(leaf: Node, shape: Shape) -> int:
    """Return the number of trained parameters of a leaf on an input of `shape`."""
    match leaf:
        case Conv():
            return _filter_weights(leaf, shape) + leaf.channels * (leaf.bias + 2 * (leaf.norm is not None))
        case Linear():
            return leaf.features * (shape.size + leaf.bias)
        case Norm():
            return 2 * shape.channels
        case Scale(learned=True):
            return shape.channels
    return 0


def leaf_macs(leaf: Node, shape: Shape) -> int:
    """Return the multiply–accumulates of a leaf on one input of `shape`."""
    return _macs(leaf, shape, leaf.output_shape(shape))


def _macs(leaf: Node, shape: Shape, output: Shape) -> int:
    match leaf:
        case Conv():
            return _filter_weights(leaf, shape) * output.height * output.width
        case Linear():
            return leaf.features * shape.size
    return 0


def _filter_weights(leaf: Conv, shape: Shape) -> int:
    return leaf.channels * (shape.channels // leaf.groups) * leaf.kernel[0] * leaf.kernel[1]


def _measure(node: Node, shape: Shape, keep: bool, training: bool) -> Part:
    """Fold over a node; `keep` says that the input is read after it."""
    return _MEASURES.get(type(node), _measure_leaf)(node, shape, keep, training)


def _measure_leaf(node: Node, shape: Shape, keep: bool, training: bool) -> Part:  # noqa: ARG001 - one signature for all
    output = node.output_shape(shape)
    return Part(output, leaf_params(node, shape), _macs(node, shape, output), shape.size + output.size)


def _measure_conv(node: Conv, shape: Shape, keep: bool, training: bool) -> Part:  # noqa: ARG001 - one signature for all
    output = node.output_shape(shape)
    weights = _filter_weights(node, shape)
    affine = node.channels * (node.bias + 2 * (node.norm is not None))
    cells = output[1] * output[2]
    read, written = shape[0] * shape[1] * shape[2], output[0] * cells
    return Part(output, weights + affine, weights * cells, read + written)


def _measure_alias(node: Node, shape: Shape, keep: bool, training: bool) -> Part:  # noqa: ARG001 - one signature for all
    return Part(shape, 0, 0, shape.size, alias=True)


def _measure_tap(node: Tap, shape: Shape, keep: bool, training: bool) -> Part:  # noqa: ARG001 - one signature for all
    head = _measure(node.head, shape, True, training) if training else Part(shape, 0, 0, shape.size)
    return Part(shape, head.params, head.macs, head.peak, alias=True)


def _measure_seq(node: Seq, shape: Shape, keep: bool, training: bool) -> Part:
    params = macs = 0
    peak, alias, current = shape.size, True, shape
    for child in node.nodes:
        current, more_params, more_macs, inner, passed = _measure(child, current, keep and alias, training)
        held = shape.size if keep and not alias else 0
        params, macs, alias = params + more_params, macs + more_macs, alias and passed
        peak = max(peak, held + inner)
    return Part(current, params, macs, peak, alias)


def _measure_concat(node: Concat, shape: Shape, keep: bool, training: bool) -> Part:
    if len(node.branches) == 1:
        return _measure(node.branches[0], shape, keep, training)
    params = macs = held = peak = channels = 0
    for index, branch in enumerate(node.branches):
        part = _measure(branch, shape, keep or index < len(node.branches) - 1, training)
        params, macs, peak = params + part.params, macs + part.macs, max(peak, held + part.peak)
        channels += part.output.channels
        held += 0 if part.alias else part.output.size
        keep = keep or part.alias
    output = Shape(channels, part.output.height, part.output.width)
    joining = (shape.size if keep else 0) + held + output.size
    return Part(output, params, macs, max(peak, joining))


def _measure_residual(node: Residual, shape: Shape, keep: bool, training: bool) -> Part:
    body = _measure(node.body, shape, True, training)
    shortcut = _measure(node.shortcut, shape, keep or body.alias, training)
    size = body.output.size
    if body.alias:
        summing = size + (0 if shortcut.alias else size) + size
        peak = max(body.peak, shortcut.peak, summing)
    else:
        peak = max(body.peak, size + shortcut.peak)
    return Part(body.output, body.params + shortcut.params, body.macs + shortcut.macs, peak)


_MEASURES: Mapping[type, Callable[..., Part]] = {
    Conv: _measure_conv,
    Seq: _measure_seq,
    Concat: _measure_concat,
    Residual: _measure_residual,
    Tap: _measure_tap,
    Identity: _measure_alias,
    Dropout: _measure_alias,
}  # by type and not by `match`, whose checks against an abstract class took a third of the time


def rows(graph: Graph) -> tuple[Row, ...]:
    """Return the cost of each part of the graph's sequences, one row a block."""
    return tuple(_rows(graph.root, graph.input, ""))


def _rows(node: Node, shape: Shape, path: str) -> Iterator[Row]:
    if not isinstance(node, Seq):
        part = _measure(node, shape, False, False)
        yield Row(path, part.params, part.macs, part.output)
        return
    for index, child in enumerate(node.nodes):
        here = child_path(path, child, index)
        yield from _rows(child, shape, here)
        shape = child.output_shape(shape, here)


def training_bytes(graph: Graph, batch_size: int, *, optimizer_slots: int = 1, ema: bool = False) -> int:
    """Return an upper estimate of the memory of one training step in float32, in bytes, without kernels' workspaces.

    Counted are the weights, their gradients, the optimizer's state and the averaged weights; the statistics of norms;
    every tensor that the forward pass writes, as if autograd kept all of them (norm and activation out of place,
    indices of max pooling, masks of dropout, joined tensors, sums); and for the gradients of activations twice the
    peak of inference.

    Args:
        graph: the network.
        batch_size: images in a step, at least 1.
        optimizer_slots: values that the optimizer keeps for each parameter: 1 for momentum, 2 for Adam.
        ema: whether averaged weights are kept.
    """
    whole = cost(graph, training=True)
    weights = whole.params * FLOAT_BYTES * (2 + optimizer_slots + ema)
    visits = list(walk(graph, taps=True))
    weights += sum(_statistics_bytes(visit) for visit in visits)
    stored = graph.input.size * FLOAT_BYTES + _joined_bytes(graph.root, graph.input)
    stored += sum(_stored_bytes(visit) for visit in visits)
    return weights + batch_size * (stored + 2 * whole.activation_bytes)


def _statistics_bytes(visit: Visit) -> int:
    """Return the bytes of a batch norm's statistics: mean and deviation, running and of the batch, and a step count."""
    match visit.leaf:
        case Conv(norm=Norm(kind="batch")) | Norm(kind="batch"):
            return 4 * visit.output.channels * FLOAT_BYTES + INDEX_BYTES
    return 0


def _stored_bytes(visit: Visit) -> int:
    """Return the bytes that a leaf writes for one image and autograd may keep."""
    floats = visit.output.size * FLOAT_BYTES
    cells = visit.output.height * visit.output.width
    match visit.leaf:
        case Conv(norm=norm, activation=activation):
            return floats * (1 + (activation is not None)) + (0 if norm is None else _normed_bytes(norm, visit.output))
        case Norm():
            return _normed_bytes(visit.leaf, visit.output)
        case Linear(activation=activation):
            return visit.input.size * FLOAT_BYTES + floats * (1 + (activation is not None))
        case Pool(kind="max") | GlobalPool(kind="max"):
            return floats + visit.output.size * INDEX_BYTES
        case LRN(size=size):  # padded squares, their scaled mean, its power, the quotient
            return 4 * floats + (size - 1) * cells * FLOAT_BYTES
        case Identity():
            return 0
    return 2 * floats


def _normed_bytes(norm: Norm, shape: Shape) -> int:
    """Return the bytes that a norm writes for one image; a layer norm also copies its input, with statistics a cell."""
    cells = shape.height * shape.width
    return FLOAT_BYTES * (shape.size if norm.kind == "batch" else 2 * shape.size + 2 * cells)


def _joined_bytes(node: Node, shape: Shape) -> int:
    """Return the bytes of the tensors that concatenations and residuals write for one image."""
    total = 0
    current = shape
    for child in node.children:
        total += _joined_bytes(child, current)
        if isinstance(node, Seq):
            current = child.output_shape(current)
    match node:
        case Concat():
            total += node.output_shape(shape).size * FLOAT_BYTES
        case Residual(activation=activation):
            total += node.output_shape(shape).size * FLOAT_BYTES * (1 + (activation is not None))
    return total
