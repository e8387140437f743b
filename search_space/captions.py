"""Captions and colours of leaves in a drawing."""

from __future__ import annotations

from dataclasses import dataclass

from search_space.graph import (
    LRN,
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
    Slice,
)

COLOURS = {  # kind of leaf: fill and outline
    "convolution": ("#cfe0fb", "#4a78bd"),
    "1×1": ("#e9f1fd", "#8aa9d6"),
    "reduction": ("#d3efdf", "#4a9a70"),
    "depthwise": ("#cdeef0", "#3b929a"),
    "pointwise": ("#e3f7f8", "#7dbcc1"),
    "max pooling": ("#fbd7c8", "#c9683c"),
    "mean pooling": ("#fdeec4", "#bf9230"),
    "dense": ("#e4dafa", "#7a5cc0"),
    "other": ("#eceff1", "#98a2ab"),
}
ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "gelu": "GELU"}


@dataclass(frozen=True, slots=True)
class Place:
    """Position of a node in a drawing.

    Attributes:
        shape: shape of its input.
        path: its path.
        depth: number of frames around it.
        before: node before it in its sequence.
        after: node after it in its sequence.
        branch: whether it is a branch, whose name stands beside its edge.
    """

    shape: Shape
    path: str = ""
    depth: int = 0
    before: Node | None = None
    after: Node | None = None
    branch: bool = False


def kind_of(leaf: Node, at: Place) -> str:
    """Return the kind of a leaf, a key of `COLOURS`."""
    match leaf:
        case Conv(groups=groups) if groups > 1:
            return "depthwise" if groups == at.shape.channels else "convolution"
        case Conv(kernel=(1, 1)):
            return _kind_of_1x1(at)
        case Conv():
            return "convolution"
        case Pool(kind=kind) | GlobalPool(kind=kind):
            return "max pooling" if kind == "max" else "mean pooling"
        case Linear():
            return "dense"
    return "other"


def _kind_of_1x1(at: Place) -> str:
    if isinstance(at.before, Conv) and at.before.groups > 1:
        return "pointwise"
    spatial = isinstance(at.after, Conv) and at.after.kernel != (1, 1)
    return "reduction" if spatial else "1×1"


def label_of(leaf: Node, at: Place) -> str:
    """Return the caption of a leaf."""
    match leaf:
        case Conv():
            kind = kind_of(leaf, at)
            word = {"convolution": "conv", "1×1": "conv", "reduction": "reduce"}.get(kind, kind)
            return f"{_by(leaf.kernel)} {word} · {leaf.channels}"
        case Pool(kind=kind):
            return f"{_by(leaf.kernel)} {kind} pool"
        case GlobalPool(kind=kind, size=size):
            return f"global {kind} pool" if size == (1, 1) else f"{kind} pool to {_by(size)}"
        case Linear(features=features):
            return f"dense · {features}"
        case Slice(start=start, stop=stop):
            return f"channel {start}" if stop == start + 1 else f"channels {start} to {stop - 1}"
    return _plain_label(leaf)


def _plain_label(leaf: Node) -> str:
    match leaf:
        case Norm(kind=kind):
            return f"{kind} norm"
        case Activation(kind=kind):
            return ACTIVATIONS[kind]
        case Scale(value=value, learned=learned):
            return f"scale{' learned' if learned else ''} × {value:g}"
        case LRN(size=size):
            return f"local norm over {size}"
        case Dropout(rate=rate):
            return f"dropout {rate:g}"
        case Identity():
            return "identity"
    raise AssertionError(f"no label for {type(leaf).__name__}")


def remarks_of(leaf: Node, at: Place) -> str:
    """Return what differs from the usual in a leaf, for a second line: stride, groups, bias, norm, activation."""
    match leaf:
        case Conv():
            layers = _layers(leaf, usual=kind_of(leaf, at) != "depthwise")
            groups = [f"{leaf.groups} groups"] * (1 < leaf.groups != at.shape.channels)
            return ", ".join([*_stride(leaf.stride), *groups, *["bias"] * leaf.bias, *layers])
        case Pool():
            return ", ".join(_stride(leaf.stride))
        case Linear(activation=str() as kind):
            return ACTIVATIONS[kind]
    return ""


def _stride(stride: Pair) -> list[str]:
    if stride == (1, 1):
        return []
    return [f"/{stride[0] if stride[0] == stride[1] else _by(stride)}"]


def _layers(leaf: Conv, *, usual: bool) -> list[str]:
    """Return norm and activation that differ from batch norm and ReLU if these are usual, from none otherwise."""
    norm = "no norm" if leaf.norm is None else f"{leaf.norm.kind} norm"
    activation = "no ReLU" if leaf.activation is None else ACTIVATIONS[leaf.activation]
    expected = {"batch norm", "ReLU"} if usual else {"no norm", "no ReLU"}
    return [word for word in (norm, activation) if word not in expected]


def _by(pair: Pair) -> str:
    return f"{pair[0]}×{pair[1]}"
