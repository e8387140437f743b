"""Leaves of the algebra: the layers of an Inception network, each with its shape arithmetic.

They are frozen values that check themselves when made. `graph.py` joins them and exports them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, final

ACTIVATIONS = ("relu", "relu6", "gelu")
NORMS = ("batch", "layer")
POOLS = ("max", "avg")

Pair = tuple[int, int]


class ShapeError(ValueError):
    """A node that does not fit its input; the message names its path."""


class Shape(NamedTuple):
    """Shape of one image or feature map: channels, height, width."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Number of elements.

        >>> Shape(3, 32, 32).size
        3072
        """
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}×{self.height}×{self.width}"


def check(law: bool, message: str) -> None:
    """Raise ValueError with `message` unless `law` holds."""
    if not law:
        raise ValueError(message)


def _check_pair(name: str, pair: Pair, least: int) -> None:
    if isinstance(pair, tuple) and len(pair) == 2:
        first, second = pair
        if isinstance(first, int) and isinstance(second, int) and first >= least and second >= least:
            return
    raise ValueError(f"{name} must be two integers >= {least}, got {pair}")


@lru_cache(maxsize=4096)  # networks have few different windows, and very many of each
def _check_window(kernel: Pair, stride: Pair, padding: Pair) -> None:
    _check_pair("kernel", kernel, 1)
    _check_pair("stride", stride, 1)
    _check_pair("padding", padding, 0)


def _check_count(name: str, count: int) -> None:
    if type(count) is not int or count < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {count}")


def check_activation(activation: str | None) -> None:
    """Raise ValueError unless `activation` is None or one of `ACTIVATIONS`."""
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {ACTIVATIONS}, got {activation!r}")


def _output_extent(extent: int, kernel: int, stride: int, padding: int, *, ceil: bool = False) -> int:
    """Return the output extent of a window over `extent` cells, as torch has it (ceil: none starts in the padding)."""
    span = extent + 2 * padding - kernel
    count = (span + (stride - 1 if ceil else 0)) // stride + 1
    if ceil and (count - 1) * stride >= extent + padding:
        count -= 1
    return count


@dataclass(frozen=True, slots=True)
class Node(ABC):
    """Expression of the algebra: a leaf, a join or a tap."""

    name: str = field(default="", compare=False, kw_only=True)

    @abstractmethod
    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the shape of the output for an input of `shape`.

        Raises:
            ShapeError: the node does not fit; the message ends with the path of the node that does not.
        """

    @property
    def children(self) -> tuple[Node, ...]:
        """Nodes below this one, in execution order; a leaf has none."""
        return ()

    @property
    def steps(self) -> tuple[str, ...]:
        """Step of the path to each child: its name, or its index if it has none."""
        return tuple(child.name or str(index) for index, child in enumerate(self.children))


@dataclass(frozen=True, slots=True)
class Pointwise(Node):
    """Leaf that keeps the shape of any input."""

    @final
    def output_shape(self, shape: Shape, path: str = "") -> Shape:  # noqa: ARG002 - any shape fits
        """Return the input's shape."""
        return shape


def at(path: str) -> str:
    """Return the end of an error message: the path, nothing for the root."""
    return f" at {path}" if path else ""


@final
@dataclass(frozen=True, slots=True)
class Norm(Pointwise):
    """Normalisation with a learned scale and shift per channel: over the batch, or over the channels (`layer`).

    Attributes:
        kind: `batch` or `layer`.
        eps: constant added to the variance, positive.
    """

    kind: str = "batch"
    eps: float = 1e-5

    def __post_init__(self) -> None:
        check(self.kind in NORMS, f"norm must be one of {NORMS}, got {self.kind!r}")
        check(self.eps > 0, f"norm eps must be positive, got {self.eps}")


@final
@dataclass(frozen=True, slots=True)
class Activation(Pointwise):
    """Elementwise activation on its own (Xception's, before the convolution).

    Attributes:
        kind: `relu`, `relu6` (a ReLU of at most 6) or `gelu`.
    """

    kind: str = "relu"

    def __post_init__(self) -> None:
        check(self.kind in ACTIVATIONS, f"activation must be one of {ACTIVATIONS}, got {self.kind!r}")


@final
@dataclass(frozen=True, slots=True)
class Conv(Node):
    """Convolution, then its norm, then its activation.

    Attributes:
        channels: output channels, at least 1.
        kernel: height and width of the filters, at least 1.
        stride: vertical and horizontal stride, at least 1.
        padding: zeros above and below, and at either side.
        groups: groups of channels, which divide the output channels; as many as input channels make a depthwise
            convolution.
        bias: whether the convolution has a bias.
        norm: norm after it, None for none.
        activation: activation at the end, None for none.
    """

    channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    bias: bool = False
    norm: Norm | None = None
    activation: str | None = None

    def __post_init__(self) -> None:
        _check_count("channels", self.channels)
        _check_count("groups", self.groups)
        _check_window(self.kernel, self.stride, self.padding)
        if self.activation is not None:
            check_activation(self.activation)
        if self.groups != 1 and self.channels % self.groups:
            raise ValueError(
                f"groups must divide the output channels, got {self.groups} groups and {self.channels} channels"
            )

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the output shape: `channels` maps of the extent that the kernel leaves."""
        channels, height, width = shape
        if channels % self.groups:
            raise ShapeError(
                f"groups must divide the input channels, got {self.groups} groups, {channels} channels{at(path)}"
            )
        height = (height + 2 * self.padding[0] - self.kernel[0]) // self.stride[0] + 1
        width = (width + 2 * self.padding[1] - self.kernel[1]) // self.stride[1] + 1
        if height < 1 or width < 1:
            raise ShapeError(f"kernel must fit into the padded input, got {self.kernel} over {shape}{at(path)}")
        return Shape(self.channels, height, width)


@final
@dataclass(frozen=True, slots=True)
class Pool(Node):
    """Max or average pooling over a moving window.

    Attributes:
        kind: `max` or `avg`.
        kernel: height and width of the window.
        stride: vertical and horizontal stride.
        padding: cells added at each side, at most half the kernel.
        ceil: whether the output extent is rounded up, for a last partial window.
        count_padding: whether an average counts the cells of the padding.
    """

    kind: str
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    ceil: bool = False
    count_padding: bool = True

    def __post_init__(self) -> None:
        check(self.kind in POOLS, f"pool must be one of {POOLS}, got {self.kind!r}")
        _check_window(self.kernel, self.stride, self.padding)
        if 2 * self.padding[0] > self.kernel[0] or 2 * self.padding[1] > self.kernel[1]:
            raise ValueError(f"padding of a pool must be at most half its kernel, got {self.padding} for {self.kernel}")

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the output shape: the input's channels at the extent that the window leaves."""
        height = _output_extent(shape.height, self.kernel[0], self.stride[0], self.padding[0], ceil=self.ceil)
        width = _output_extent(shape.width, self.kernel[1], self.stride[1], self.padding[1], ceil=self.ceil)
        if height < 1 or width < 1:
            raise ShapeError(f"window must fit into the padded input, got {self.kernel} over {shape}{at(path)}")
        return Shape(shape.channels, height, width)


@final
@dataclass(frozen=True, slots=True)
class GlobalPool(Node):
    """Global max or average pooling, or adaptive pooling to a map of `size`.

    Attributes:
        kind: `max` or `avg`.
        size: height and width of the output.
    """

    kind: str = "avg"
    size: Pair = (1, 1)

    def __post_init__(self) -> None:
        check(self.kind in POOLS, f"pool must be one of {POOLS}, got {self.kind!r}")
        _check_pair("size", self.size, 1)

    def output_shape(self, shape: Shape, path: str = "") -> Shape:  # noqa: ARG002 - any shape fits
        """Return the output shape: the input's channels at the given size."""
        return Shape(shape.channels, *self.size)


@final
@dataclass(frozen=True, slots=True)
class Slice(Node):
    """Slice of the channels, from `start` up to and without `stop`."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        check(
            isinstance(self.start, int) and isinstance(self.stop, int) and 0 <= self.start < self.stop,
            f"a slice needs integers 0 <= start < stop, got {self.start} and {self.stop}",
        )

    def output_shape(self, shape: Shape, path: str = "") -> Shape:
        """Return the output shape: `stop` − `start` channels."""
        if self.stop > shape.channels:
            raise ShapeError(
                f"a slice must end within its input, got stop {self.stop} of {shape.channels} channels{at(path)}"
            )
        return Shape(self.stop - self.start, shape.height, shape.width)


@final
@dataclass(frozen=True, slots=True)
class Scale(Pointwise):
    """Multiplication by a constant (scaled residuals), or by a learned factor per channel (layer scale).

    Attributes:
        value: the constant, or the initial value of the learned factors.
        learned: whether each channel learns its own factor.
    """

    value: float
    learned: bool = False

    def __post_init__(self) -> None:
        check(math.isfinite(self.value), f"a scale must be finite, got {self.value}")


@final
@dataclass(frozen=True, slots=True)
class LRN(Pointwise):
    """Local response normalization across channels (Krizhevsky et al. 2012, section 3.3).

    As in torch, alpha is divided by `size`.

    Attributes:
        size: channels in a neighbourhood, at least 1.
        alpha: weight of the mean square.
        beta: exponent.
        k: constant under the exponent, positive.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        _check_count("size", self.size)
        check(self.k > 0, f"constant k of the local response normalization must be positive, got {self.k}")


@final
@dataclass(frozen=True, slots=True)
class Dropout(Pointwise):
    """Dropout: zeroes each element with probability `rate`, in [0, 1), in training."""

    rate: float

    def __post_init__(self) -> None:
        check(0 <= self.rate < 1, f"dropout rate must lie in [0, 1), got {self.rate}")


@final
@dataclass(frozen=True, slots=True)
class Linear(Node):
    """Dense layer over the flattened input, then its activation.

    Attributes:
        features: output features, at least 1.
        bias: whether it has a bias.
        activation: activation at the end, None for none.
    """

    features: int
    bias: bool = True
    activation: str | None = None

    def __post_init__(self) -> None:
        _check_count("features", self.features)
        check_activation(self.activation)

    def output_shape(self, shape: Shape, path: str = "") -> Shape:  # noqa: ARG002 - any shape fits
        """Return the output shape: `features` channels of one cell."""
        return Shape(self.features, 1, 1)


@final
@dataclass(frozen=True, slots=True)
class Identity(Pointwise):
    """Identity: the output is the input."""
