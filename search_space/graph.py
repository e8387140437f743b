"""The algebra of Inception networks: leaves, three ways to join them, and a tap for an auxiliary head.

An Inception network is a series-parallel expression. Everything else is a fold over such an expression (its cost, its
torch module, its picture, its source code) or a rewrite of one. Nodes are frozen values that check themselves when
made; shape arithmetic is the one thing they do. Shapes are of one image, `(channels, height, width)`.

Every node may carry a `name`. Names make paths (`stage1.block0.k5.reduce`), and paths stand in errors, in per-block
rows and in the parameter names of the built module; they are no part of what a network is, so equality and identity
ignore them. Where names are missing, positions stand in the path; the steps below a residual are always `body` and
`shortcut`, and the one below a tap is `head`.
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
    """Path of the `index`-th child: its name, or its index where it has none.

    >>> child_path("stage1.block0", Identity(name="shortcut"), 1)
    'stage1.block0.shortcut'
    """
    return _join(path, node.name or str(index))


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _fitted(node: Node, shape: Shape, path: str, index: int) -> Shape:
    """The output of the `index`-th child at `path`; the child is asked once more, with its path, where it does not fit.

    Putting every path together beforehand takes as long as all the arithmetic of shapes.
    """
    try:
        return node.output_shape(shape)
    except ShapeError:
        return node.output_shape(shape, child_path(path, node, index))


def _check_names(children: tuple[Node, ...]) -> None:
    """A path must lead to one node, in a module's attributes and in source code too."""
    _check_siblings(tuple([child.name for child in children if child.name]))


@lru_cache(maxsize=4096)  # few kinds of block, and very many of each
def _check_siblings(names: tuple[str, ...]) -> None:
    for name in names:
        if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
            raise ValueError(f"a name must be an ASCII identifier and no keyword, got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"names of siblings must differ, got {list(names)}")


@final
@dataclass(frozen=True, slots=True)
class Seq(Node):
    """One node after the other; none at all is the identity."""

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        _check_names(self.nodes)

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes in order."""
        return self.nodes

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """The last node's output shape."""
        for index, node in enumerate(self.nodes):
            shape = _fitted(node, shape, path, index)
        return shape


@final
@dataclass(frozen=True, slots=True)
class Concat(Node):
    """Branches side by side on one input, their outputs joined along the channels."""

    branches: tuple[Node, ...]

    def __post_init__(self) -> None:
        check(len(self.branches) >= 1, "a concatenation needs at least one branch, got none")
        _check_names(self.branches)

    @property
    def children(self) -> tuple[Node, ...]:
        """The branches in order."""
        return self.branches

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """The branches' channels added up; they must agree in height and width."""
        first = _fitted(self.branches[0], shape, path, 0)
        channels, height, width = first
        for index, branch in enumerate(self.branches[1:], 1):
            output = _fitted(branch, shape, path, index)
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
    """A body added to a shortcut of the same input, then an activation.

    Attributes:
        body: the residual function.
        shortcut: what the body is added to; the identity, or a projection.
        activation: non-linearity after the sum, None for none.
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
        """`body` and `shortcut`, whatever their names."""
        return ("body", "shortcut")

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """The body's output shape, which must be the shortcut's too."""
        body = self.body.output_shape(shape, _join(path, "body"))
        shortcut = self.shortcut.output_shape(shape, _join(path, "shortcut"))
        if body != shortcut:
            raise ShapeError(f"a residual needs body and shortcut of one shape, got {body} and {shortcut}{at(path)}")
        return body


@final
@dataclass(frozen=True, slots=True)
class Tap(Node):
    """An auxiliary classifier: passes its input on, and trains `head` on it; gone from inference.

    Attributes:
        head: from the input to logits.
        weight: weight of its loss beside the main one.
    """

    head: Node
    weight: float

    def __post_init__(self) -> None:
        check(self.weight >= 0, f"weight of an auxiliary loss must be >= 0, got {self.weight}")

    @property
    def children(self) -> tuple[Node, ...]:
        """The head."""
        return (self.head,)

    @property
    def steps(self) -> tuple[str, ...]:
        """`head`, whatever its name."""
        return ("head",)

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """The input's shape; the head must fit too."""
        self.head.output_shape(shape, _join(path, "head"))
        return shape


@final
@dataclass(frozen=True, slots=True)
class Graph:
    """A whole network: an expression and the shape of its input image.

    Attributes:
        root: the expression.
        input: shape of one image.
        fits: says that every node is known to fit its input, so that it need not be looked at again.

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
    """One leaf met on a walk: where it stands and what passes through it."""

    path: str
    leaf: Node
    input: Shape
    output: Shape


def walk(graph: Graph, *, taps: bool = False) -> Iterator[Visit]:
    """Every leaf in execution order, with its path and shapes.

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
    """Convolution with `same` padding, batch norm and ReLU: what Inception networks are built of since BN-Inception.

    Args:
        channels: output channels.
        kernel: odd side, or odd height and width.
        stride: step in both directions.
        groups: groups of channels.
        activation: non-linearity, None for none.
        name: the node's name.

    Raises:
        ValueError: a side of the kernel is even.
    """
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    if sides[0] % 2 == 0 or sides[1] % 2 == 0:
        raise ValueError(f"kernel must be odd, got {kernel}")
    padding = (sides[0] // 2, sides[1] // 2)
    return Conv(channels, sides, (stride, stride), padding, groups, norm=_BATCH_NORM, activation=activation, name=name)
