"""Torch module of a graph: a fold that keeps the graph's structure, so that parameter names are the graph's paths."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor, nn

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
    Scale,
    Seq,
    Shape,
    Slice,
    Tap,
    child_path,
)
from search_space.modules import (
    Auxiliary,
    ChannelNorm,
    ChannelScale,
    ConstantScale,
    Cut,
    Dense,
    Parallel,
    Subsample,
    Sum,
    Tapped,
    add,
)

FEW_CHANNELS = 8
"""Input channels below which a strided 1×1 convolution is one of stride 1 behind a subsampling."""


@final
class Network(nn.Module):
    """Network built from a graph, from images (N, C, H, W) to logits (N, classes).

    In training mode a network with auxiliary heads returns `(logits, [(auxiliary logits, loss weight), ...])`; in
    evaluation mode the heads do not run.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.taps: list[Auxiliary] = []
        self.body = _build(graph.root, graph.input, self.taps)
        self.has_taps = any(isinstance(module, Tapped) for module in self.modules())

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, list[Auxiliary]]:
        """Return logits (N, classes), in training with those of the auxiliary heads if there are any."""
        self.taps.clear()
        logits = self.body(images).flatten(1)  # (N, classes)
        if self.training and self.has_taps:
            auxiliary = list(self.taps)
            self.taps.clear()
            return logits, auxiliary
        return cast(Tensor, logits)


def build(graph: Graph) -> Network:
    """Return the module of a graph, freshly initialised from torch's global random state.

    Convolutions are initialised as in He et al. 2015 (normal, fan in), other layers as in torch.
    """
    network = Network(graph)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def _build(node: Node, shape: Shape, taps: list[Auxiliary]) -> nn.Module:
    match node:
        case Seq():
            return _build_seq(node, shape, taps)
        case Concat():
            return Parallel([(_step(b, i), _build(b, shape, taps)) for i, b in enumerate(node.branches)])
        case Residual():
            sides = [_build(side, shape, taps) for side in node.children]
            return Sum(sides[0], sides[1], _activation(node.activation))
        case Tap():
            return Tapped(_build(node.head, shape, taps), node.weight, taps)
    return _build_leaf(node, shape)


def _build_seq(node: Seq, shape: Shape, taps: list[Auxiliary]) -> nn.Module:
    modules = nn.Sequential()
    for index, child in enumerate(node.nodes):
        add(modules, _step(child, index), _build(child, shape, taps))
        shape = child.output_shape(shape)
    return modules


def _step(node: Node, index: int) -> str:
    return child_path("", node, index)


def _activation(kind: str | None) -> nn.Module:
    match kind:
        case None:
            return nn.Identity()
        case "relu":
            return nn.ReLU(inplace=True)
        case "relu6":
            return nn.ReLU6(inplace=True)
        case "gelu":
            return nn.GELU()
    raise AssertionError(f"no module for activation {kind}")


def _norm(norm: Norm, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=norm.eps) if norm.kind == "batch" else ChannelNorm(channels, eps=norm.eps)


def _build_leaf(leaf: Node, shape: Shape) -> nn.Module:
    match leaf:
        case Conv():
            return _build_conv(leaf, shape)
        case Linear():
            dense = Dense(shape.size, leaf.features, bias=leaf.bias)
            return dense if leaf.activation is None else nn.Sequential(dense, _activation(leaf.activation))
        case Pool():
            return _build_pool(leaf)
        case GlobalPool(kind="avg", size=size):
            return nn.AdaptiveAvgPool2d(size)
        case GlobalPool(size=size):
            return nn.AdaptiveMaxPool2d(size)
        case Norm():
            return _norm(leaf, shape.channels)
        case Activation(kind="relu"):
            return nn.ReLU()  # not in place: another node may read the input
        case Activation(kind="relu6"):
            return nn.ReLU6()
    return _build_plain_leaf(leaf, shape)


def _build_plain_leaf(leaf: Node, shape: Shape) -> nn.Module:
    match leaf:
        case Activation(kind=kind):
            return _activation(kind)
        case Slice(start=start, stop=stop):
            return Cut(start, stop)
        case Scale(value=value, learned=learned):
            return ChannelScale(shape.channels, value) if learned else ConstantScale(value)
        case LRN(size=size, alpha=alpha, beta=beta, k=k):
            return nn.LocalResponseNorm(size, alpha, beta, k)
        case Dropout(rate=rate):
            return nn.Dropout(rate)
        case Identity():
            return nn.Identity()
    raise AssertionError(f"no module for {type(leaf).__name__}")


def _build_conv(leaf: Conv, shape: Shape) -> nn.Module:
    unit = nn.Sequential()
    stride = leaf.stride
    if _overflows(leaf, shape):
        unit.add_module("subsample", Subsample(stride))
        stride = (1, 1)
    unit.add_module(
        "conv",
        nn.Conv2d(shape.channels, leaf.channels, leaf.kernel, stride, leaf.padding, groups=leaf.groups, bias=leaf.bias),
    )
    if leaf.norm is not None:
        unit.add_module("norm", _norm(leaf.norm, leaf.channels))
    if leaf.activation is not None:
        unit.add_module("activation", _activation(leaf.activation))
    return unit


def _overflows(leaf: Conv, shape: Shape) -> bool:
    """Return whether torch's backward pass of a convolution writes outside its buffers on a CPU.

    Seen with torch 2.13 for strided 1×1 convolutions of up to 6 input channels in channels-last memory, not with 7 or
    more, nor in groups: "double free or corruption", or nothing at all.
    """
    pointwise = leaf.kernel == (1, 1) and leaf.padding == (0, 0) and leaf.groups == 1
    return pointwise and leaf.stride != (1, 1) and shape.channels < FEW_CHANNELS


def _build_pool(leaf: Pool) -> nn.Module:
    if leaf.kind == "max":
        return nn.MaxPool2d(leaf.kernel, leaf.stride, leaf.padding, ceil_mode=leaf.ceil)
    return nn.AvgPool2d(
        leaf.kernel, leaf.stride, leaf.padding, ceil_mode=leaf.ceil, count_include_pad=leaf.count_padding
    )
