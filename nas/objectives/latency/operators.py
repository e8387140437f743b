"""Operators of a network: each distinct shape that a runtime executes, and the features that its latency depends on.

A convolution is one operator together with its norm and its activation, as a runtime may fuse them; joins are operators
too, since a concatenation copies its branches and a residual adds two tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from search_space.cost import leaf_macs, leaf_params
from search_space.graph import (
    Concat,
    Conv,
    Dropout,
    GlobalPool,
    Graph,
    Identity,
    Linear,
    Node,
    Pool,
    Residual,
    Seq,
    Shape,
    Tap,
)
from search_space.identity import text_of

KINDS = (
    "pointwise",
    "convolution",
    "grouped",
    "depthwise",
    "max_pool",
    "avg_pool",
    "global_pool",
    "linear",
    "elementwise",
    "concat",
    "add",
)
"""Kinds of operators; each has coefficients of its own."""

COLUMNS = ("calls", "multiplied", "read", "written", "weights", "window", "norms", "normed", "activations", "activated")
"""Features of an operator, in this order, none negative; sizes are elements for one image."""


class Operator(NamedTuple):
    """One operator on an input of one shape.

    Attributes:
        kind: one of `KINDS`.
        node: leaf, or for a join its number of inputs.
        input: shape of its input, for a join that of its output.
    """

    kind: str
    node: Node | int
    input: Shape


def operators_of(graph: Graph) -> list[Operator]:
    """Return the operators of a network in inference, in execution order."""
    return list(_operators(graph.root, graph.input))


def _operators(node: Node, shape: Shape) -> Iterator[Operator]:
    if isinstance(node, Seq):
        for child in node.nodes:
            yield from _operators(child, shape)
            shape = child.output_shape(shape)
        return
    if isinstance(node, Tap | Identity | Dropout):
        return
    for child in node.children:
        yield from _operators(child, shape)
    match node:
        case Concat(branches=branches):
            if len(branches) > 1:
                yield Operator("concat", len(branches), node.output_shape(shape))
        case Residual(activation=activation):
            yield Operator("add", 1 + (activation is not None), node.output_shape(shape))
        case _:
            yield Operator(kind_of(node, shape), node, shape)


def kind_of(leaf: Node, shape: Shape) -> str:
    """Return the kind of a leaf on an input of `shape`."""
    match leaf:
        case Conv(groups=groups, kernel=kernel):
            if groups == 1:
                return "pointwise" if kernel == (1, 1) else "convolution"
            return "depthwise" if groups == shape.channels else "grouped"
        case Pool(kind=kind):
            return f"{kind}_pool"
        case GlobalPool():
            return "global_pool"
        case Linear():
            return "linear"
    return "elementwise"


def features_of(operator: Operator) -> tuple[float, ...]:
    """Return the features of an operator, `COLUMNS`."""
    kind, node, shape = operator
    if isinstance(node, int):
        size = float(shape.size)
        return (1.0, 0.0, size, size, 0.0, float(node), 0.0, 0.0, 0.0, 0.0)
    output = node.output_shape(shape).size
    norm = activation = 0
    window = 1
    match node:
        case Conv():
            norm, activation = node.norm is not None, node.activation is not None
            window = node.kernel[0] * node.kernel[1]
        case Pool():
            window = node.kernel[0] * node.kernel[1]
        case Linear():
            activation = node.activation is not None
    covered = 0.0 if kind == "pointwise" else float(window * output)
    return (
        1.0,
        float(leaf_macs(node, shape)),
        float(shape.size),
        float(output),
        float(leaf_params(node, shape)),
        covered,
        float(norm),
        float(norm * output),
        float(activation),
        float(activation * output),
    )


def key_of(operator: Operator) -> str:
    """Return the key of an operator in a model's file: its kind, its node as text, and its input.

    >>> key_of(Operator("concat", 2, Shape(8, 4, 4)))
    'concat 2 on 8×4×4'
    """
    kind, node, shape = operator
    text = str(node) if isinstance(node, int) else text_of(node, ordered=True)
    return f"{kind} {text} on {shape}"


def graph_of(operator: Operator) -> Graph | None:
    """Return a network of an operator alone; None for a join, which only the regression over networks sees."""
    return None if isinstance(operator.node, int) else Graph(operator.node, operator.input)
