"""Algebra of Inception networks: leaves, three ways to join them, and a tap for an auxiliary head.

An Inception network is a series-parallel expression. Everything else is a fold over such an expression (its cost, its
torch module, its drawing, its source code) or a rewrite of one. Nodes are frozen values that check themselves when
made; their only arithmetic is that of shapes. Shapes are of one image, `(channels, height, width)`.

Every node may have a `name`. Names make paths (`stage1.block0.k5.reduce`), which stand in errors, in the rows of a cost
table and in the parameter names of the built module. Equality and identity ignore names. A node without a name has its
index in the path; the steps below a residual are always `body` and `shortcut`, and the one below a tap is `head`.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from functools import lru_cache
from typing import final

from search_space.leaves import (
    ACTIVATIONS,
    LRN,
    POOLS,
    Activation,
    Conv,
    Dropout,
    GlobalPool,
    Identity,
    Linear,
    Node,
    Norm,
    Pair,
    Pool,
    Scale,
    Shape,
    ShapeError,
    Slice,
    at,
    check,
    check_activation,
)

__all__ = [
    "ACTIVATIONS",
    "LRN",
    "POOLS",
    "Activation",
    "Concat",
    "Conv",
    "Dropout",
    "GlobalPool",
    "Graph",
    "Identity",
    "Linear",
    "Node",
    "Norm",
    "Pair",
    "Pool",
    "Residual",
    "Scale",
    "Seq",
    "Shape",
    "ShapeError",
    "Slice",
    "Tap",
    "Visit",
    "child_path",
    "conv",
    "walk",
]


def child_path(path: str, node: Node, index: int) -> str:
    """Return the path of the `index`-th child, which ends with its name, or with its index if it has none.

    >>> child_path("stage1.block0", Identity(name="shortcut"), 1)
    'stage1.block0.shortcut'
    """
    return _join(path, node.name or str(index))


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _child_shape(node: Node, shape: Shape, path: str, index: int) -> Shape:
    """Return the output shape of the `index`-th child; only an error needs the child's path.

    To build every path beforehand takes as long as all the arithmetic of shapes.
    """
    try:
        return node.output_shape(shape)
    except ShapeError:
        return node.output_shape(shape, child_path(path, node, index))


def _check_names(children: tuple[Node, ...]) -> None:
    """Raise ValueError unless each path leads to one node, as an attribute of a module and in source code too."""
    _check_siblings(tuple([child.name for child in children if child.name]))


@lru_cache(maxsize=4096)  # few different blocks, and very many of each
def _check_siblings(names: tuple[str, ...]) -> None:
    for name in names:
        if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
            raise ValueError(f"a name must be an ASCII identifier and no keyword, got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"names of siblings must differ, got {list(names)}")


@final
@dataclass(frozen=True, slots=True)
class Seq(Node):
    """Sequence of nodes; an empty one is the identity."""

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        _check_names(self.nodes)

    @property
    def children(self) -> tuple[Node, ...]:
        """Nodes in order."""
        return self.nodes

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the last node's output shape."""
        for index, node in enumerate(self.nodes):
            shape = _child_shape(node, shape, path, index)
        return shape


@final
@dataclass(frozen=True, slots=True)
class Concat(Node):
    """Parallel branches on one input, their outputs concatenated along the channels."""

    branches: tuple[Node, ...]

    def __post_init__(self) -> None:
        check(len(self.branches) >= 1, "a concatenation needs at least one branch, got none")
        _check_names(self.branches)

    @property
    def children(self) -> tuple[Node, ...]:
        """Branches in order."""
        return self.branches

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the output shape: the sum of the branches' channels; height and width must agree."""
        first = _child_shape(self.branches[0], shape, path, 0)
        channels, height, width = first
        for index, branch in enumerate(self.branches[1:], 1):
            output = _child_shape(branch, shape, path, index)
            more, high, wide = output
            if high != height or wide != width:
                raise ShapeError(
                    f"branches must agree in height and width, got {first} and {output}"
                    f"{at(child_path(path, branch, index))}"
                )
            channels += more
        return Shape(channels, height, width)


@final
@dataclass(frozen=True, slots=True)
class Residual(Node):
    """Residual: a body added to a shortcut of the same input, then an activation.

    Attributes:
        body: the residual function.
        shortcut: the identity, or a projection of the input.
        activation: activation after the sum, None for none.
    """

    body: Node
    shortcut: Node = field(default_factory=Identity)
    activation: str | None = None

    def __post_init__(self) -> None:
        check_activation(self.activation)

    @property
    def children(self) -> tuple[Node, ...]:
        """Body, then shortcut."""
        return (self.body, self.shortcut)

    @property
    def steps(self) -> tuple[str, ...]:
        """Steps `body` and `shortcut`, whatever the names."""
        return ("body", "shortcut")

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the body's output shape, which must be the shortcut's too."""
        body = self.body.output_shape(shape, _join(path, "body"))
        shortcut = self.shortcut.output_shape(shape, _join(path, "shortcut"))
        if body != shortcut:
            raise ShapeError(f"a residual needs body and shortcut of one shape, got {body} and {shortcut}{at(path)}")
        return body


@final
@dataclass(frozen=True, slots=True)
class Tap(Node):
    """Tap for an auxiliary classifier: passes its input on, and in training runs `head` on it.

    Attributes:
        head: expression from the input to logits.
        weight: weight of the auxiliary loss, at least 0.
    """

    head: Node
    weight: float

    def __post_init__(self) -> None:
        check(self.weight >= 0, f"weight of an auxiliary loss must be >= 0, got {self.weight}")

    @property
    def children(self) -> tuple[Node, ...]:
        """Head alone."""
        return (self.head,)

    @property
    def steps(self) -> tuple[str, ...]:
        """Step `head`, whatever the name."""
        return ("head",)

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the input's shape; the head must fit too."""
        self.head.output_shape(shape, _join(path, "head"))
        return shape


@final
@dataclass(frozen=True, slots=True)
class Graph:
    """Network: an expression and the shape of its input image.

    Attributes:
        root: the expression.
        input: shape of one image.
        fits: whether every node is known to fit its input, so that the check is skipped.

    Raises:
        ShapeError: a node does not fit its input.
    """

    root: Node
    input: Shape
    fits: InitVar[bool] = False

    def __post_init__(self, fits: bool) -> None:
        check(min(self.input) >= 1, f"an input needs at least one channel, row and column, got {self.input}")
        if not fits:
            self.root.output_shape(self.input)

    @property
    def output(self) -> Shape:
        """Shape of the output of one image."""
        return self.root.output_shape(self.input)


@final
@dataclass(frozen=True, slots=True)
class Visit:
    """Leaf on a walk, with its path, input shape and output shape."""

    path: str
    leaf: Node
    input: Shape
    output: Shape


def walk(graph: Graph, *, taps: bool = False) -> Iterator[Visit]:
    """Yield every leaf in execution order.

    Args:
        graph: the network.
        taps: whether the auxiliary heads are walked too, as in training.
    """
    return _walk(graph.root, graph.input, "", taps)


def _walk(node: Node, shape: Shape, path: str, taps: bool) -> Iterator[Visit]:
    if isinstance(node, Tap) and not taps:
        return
    if not node.children:
        if not isinstance(node, Seq):
            yield Visit(path, node, shape, node.output_shape(shape, path))
        return
    for child, step in zip(node.children, node.steps, strict=True):
        here = _join(path, step)
        yield from _walk(child, shape, here, taps)
        if isinstance(node, Seq):
            shape = child.output_shape(shape, here)


_BATCH_NORM = Norm()


def conv(
    channels: int,
    kernel: int | Pair,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: str | None = "relu",
    name: str = "",
) -> Conv:
    """Return a convolution with `same` padding, batch norm and ReLU, the unit of Inception networks since BN-Inception.

    Args:
        channels: output channels.
        kernel: odd side, or odd height and width.
        stride: stride in both directions.
        groups: groups of channels.
        activation: activation, None for none.
        name: name of the node.

    Raises:
        ValueError: a side of the kernel is even.
    """
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    if sides[0] % 2 == 0 or sides[1] % 2 == 0:
        raise ValueError(f"kernel must be odd, got {kernel}")
    padding = (sides[0] // 2, sides[1] // 2)
    return Conv(channels, sides, (stride, stride), padding, groups, norm=_BATCH_NORM, activation=activation, name=name)
