"""Identity of a network: the canonical text of its graph, and the hash of that.

Two graphs are one network, which is trained once, if they differ only in names, in the nesting of sequences and
concatenations, in identities, in the fusion of a norm or activation into the layer before it, or in the order of
branches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

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
    Pair,
    Pool,
    Residual,
    Scale,
    Seq,
    Shape,
    Slice,
    Tap,
)

ID_LENGTH = 16

_Part = str | tuple[str, ...]  # one step; a tuple holds the texts of concatenated branches


def digest(text: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `text`.

    >>> digest("")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def canonical_json(value: Mapping[str, Any]) -> str:
    """Return the same JSON text for equal values: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def network_id(graph: Graph) -> str:
    """Return the hash of the normalised graph."""
    return digest(canonical(graph))


def canonical(graph: Graph) -> str:
    """Return the canonical text of a graph, equal only for graphs that are one network.

    The order of branches is dropped if a permutation of the next layer's weights undoes it. If channels count by their
    position there is no such permutation: a graph with a slice, local response normalization, a grouped convolution
    that is not depthwise, or a sum whose sides are both concatenated or passed through, keeps its order. The identity
    may then be finer than necessary, never coarser.
    """
    ordered = sees_order(graph.root, graph.input)
    return joined(graph.input, [text_of(graph.root, ordered=ordered)])


def text_of(node: Node, *, ordered: bool) -> str:
    """Return the part of a network's canonical text that is due to one node of its sequence.

    Args:
        node: the node.
        ordered: whether the order of branches matters in the network.
    """
    return _text(_parts(node, ordered))


def sees_order(node: Node, shape: Shape) -> bool:
    """Return whether a node on an input of `shape` makes the order of branches matter in its whole network."""
    return _sees_order(node, shape.channels)[0]


def side_by_side(texts: Sequence[str], *, ordered: bool) -> str:
    """Return the text of a concatenation of two or more branches, none a concatenation itself, from their texts."""
    return f"concat({'|'.join(texts if ordered else sorted(texts))})"


def joined(shape: Shape, texts: Sequence[str]) -> str:
    """Return the canonical text of a network for images of `shape`, from the texts of its nodes in sequence."""
    return f"{','.join(str(extent) for extent in shape)}:{';'.join(text for text in texts if text)}"


def _sees_order(node: Node, channels: int) -> tuple[bool, int]:
    """Return whether a node or one below it treats channels by their position, and its output channels."""
    if type(node) is Conv:  # the most frequent type, and comparing types is cheaper than matching
        return node.groups > 1 and not node.groups == node.channels == channels, node.channels
    match node:
        case Seq():
            sees = False
            for child in node.nodes:
                below, channels = _sees_order(child, channels)
                sees = sees or below
            return sees, channels
        case Concat():
            answers = [_sees_order(branch, channels) for branch in node.branches]
            return any(sees for sees, _ in answers), sum(out for _, out in answers)
        case Residual():
            answers = [_sees_order(side, channels) for side in node.children]
            return _aligns(node) or any(sees for sees, _ in answers), answers[0][1]
        case Tap():
            return _sees_order(node.head, channels)[0], channels
        case Slice(start=start, stop=stop):
            return True, stop - start
        case Linear(features=features):
            return False, features
    return isinstance(node, LRN), channels


def _aligns(node: Residual) -> bool:
    """Return whether neither side of a sum can follow a permutation of the other's channels."""
    return not any(_is_free(side) for side in node.children)


def _is_free(node: Node) -> bool | None:
    """Return whether the node's weights can permute its output channels; None if it passes its input's on."""
    match node:
        case Conv(groups=1) | Linear():
            return True
        case Seq():
            answers = (_is_free(child) for child in reversed(node.nodes))
            return next((answer for answer in answers if answer is not None), None)
        case Concat(branches=(only,)):
            return _is_free(only)
        case Concat():
            return False
        case Residual():
            return all(_is_free(side) for side in node.children)
    return None


def _pair(pair: Pair) -> str:
    return f"{pair[0]}x{pair[1]}"


def _number(number: float) -> str:
    """Return the same text for equal numbers, integers or not."""
    return repr(float(number))


def _text(parts: Sequence[_Part]) -> str:
    return ";".join(part if isinstance(part, str) else f"concat({'|'.join(part)})" for part in parts)


def _parts(node: Node, ordered: bool) -> list[_Part]:
    """Return the node as a sequence of parts, empty for a node without effect."""
    if type(node) is Conv:
        return _conv_parts(node)
    match node:
        case Seq():
            return [part for child in node.nodes for part in _parts(child, ordered)]
        case Concat(branches=(only,)):
            return _parts(only, ordered)
        case Concat():
            texts = [text for branch in node.branches for text in _branch_texts(branch, ordered)]
            return [tuple(texts if ordered else sorted(texts))]
        case Residual():
            sides = sorted(_text(_parts(side, ordered)) for side in node.children)  # a sum has no order
            return [f"residual({'|'.join(sides)})", *_activation_parts(node.activation)]
        case Tap():
            return [f"tap({_number(node.weight)}|{_text(_parts(node.head, ordered))})"]
    return [*_leaf_parts(node)]


def _branch_texts(branch: Node, ordered: bool) -> tuple[str, ...]:
    """Return the branch's text, or the texts of its branches if it is a concatenation itself."""
    match _parts(branch, ordered):
        case [tuple() as inner]:
            return inner
        case parts:
            return (_text(parts),)


def _activation_parts(activation: str | None) -> list[str]:
    return [] if activation is None else [activation]


@cache
def _norm_part(kind: str, eps: float) -> str:
    return f"{kind}norm({_number(eps)})"


@cache
def _window(kernel: Pair, stride: Pair, padding: Pair) -> str:
    return f"{_pair(kernel)}/{_pair(stride)}+{_pair(padding)}"


def _conv_parts(node: Conv) -> list[_Part]:
    window = _window(node.kernel, node.stride, node.padding)
    parts: list[_Part] = [f"conv({node.channels},{window},g{node.groups}{'+b' if node.bias else ''})"]
    if node.norm is not None:
        parts.append(_norm_part(node.norm.kind, node.norm.eps))
    if node.activation is not None:
        parts.append(node.activation)
    return parts


def _leaf_parts(node: Node) -> list[str]:
    match node:
        case Norm():
            return [_norm_part(node.kind, node.eps)]
        case Activation():
            return [node.kind]
        case Linear():
            return [f"linear({node.features}{'+b' if node.bias else ''})", *_activation_parts(node.activation)]
        case Pool():
            return _pool_parts(node)
    return _plain_leaf_parts(node)


def _pool_parts(node: Pool) -> list[str]:
    if node.kernel == node.stride == (1, 1) and node.padding == (0, 0):
        return []
    padded = node.kind == "avg" and node.padding != (0, 0)
    flags = ("c" if node.ceil else "") + ("p" if padded and node.count_padding else "")
    return [f"{node.kind}pool({_pair(node.kernel)}/{_pair(node.stride)}+{_pair(node.padding)}{flags})"]


def _plain_leaf_parts(node: Node) -> list[str]:
    match node:
        case Identity():
            return []
        case GlobalPool():
            return [f"global{node.kind}({_pair(node.size)})"]
        case Slice():
            return [f"slice({node.start}:{node.stop})"]
        case Scale():
            return (
                []
                if node.value == 1 and not node.learned
                else [f"scale({_number(node.value)}{',learned' if node.learned else ''})"]
            )
        case LRN():
            return [f"lrn({node.size},{_number(node.alpha)},{_number(node.beta)},{_number(node.k)})"]
        case Dropout():
            return [f"dropout({_number(node.rate)})"] if node.rate > 0 else []
    raise AssertionError(f"no canonical text for {type(node).__name__}")
