"""What makes two expressions one network: the canonical text of a graph, and its hash.

Two graphs are one network when they differ only in names, in how sequences and concatenations are nested, in
identities, in whether a norm or activation is fused into the layer before it, or in the order of branches. Nobody
trains such a network twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
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
    Pool,
    Residual,
    Scale,
    Seq,
    Slice,
    Tap,
)

ID_LENGTH = 16


def digest(text: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of `text`.

    >>> digest("")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def canonical_json(value: Mapping[str, Any]) -> str:
    """One JSON text for equal values: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def network_id(graph: Graph) -> str:
    """Hash of the normalised graph."""
    return digest(canonical(graph))


def canonical(graph: Graph) -> str:
    """The canonical text of a graph; equal exactly for graphs that are one network.

    The order of branches is dropped where a permutation of the next layer's weights undoes it. A layer that treats
    channels by their position (a slice, local response normalization, a grouped convolution that is not depthwise)
    has no such permutation, so a graph with one of those keeps its order: the identity may then be finer than need
    be, never coarser.
    """
    ordered = any(_sees_order(node) for node in _nodes(graph.root))
    parts = _parts(graph.root, ordered)
    return f"{graph.input.channels},{graph.input.height},{graph.input.width}:{';'.join(parts)}"


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _sees_order(node: Node) -> bool:
    match node:
        case Slice() | LRN():
            return True
        case Conv(groups=groups, channels=channels):
            return groups not in {1, channels}
    return False


def _pair(pair: tuple[int, int]) -> str:
    return f"{pair[0]}x{pair[1]}"


def _parts(node: Node, ordered: bool) -> list[str]:
    """The node as a sequence of texts, nothing for what does nothing."""
    match node:
        case Seq():
            return [part for child in node.nodes for part in _parts(child, ordered)]
        case Concat():
            return _concat_parts(node, ordered)
        case Residual():
            sides = "|".join(";".join(_parts(side, ordered)) for side in node.children)
            return [f"residual({sides})", *_activation_parts(node.activation)]
        case Tap():
            return [f"tap({node.weight!r}|{';'.join(_parts(node.head, ordered))})"]
    return _leaf_parts(node)


def _concat_parts(node: Concat, ordered: bool) -> list[str]:
    branches = list(_branches(node, ordered))
    if len(branches) == 1:
        return branches[0]
    texts = [";".join(parts) for parts in branches]
    return [f"concat({'|'.join(texts if ordered else sorted(texts))})"]


def _branches(node: Concat, ordered: bool) -> Iterator[list[str]]:
    """The branches' parts, those of a directly nested concatenation in its place."""
    for branch in node.branches:
        inner = _only(branch)
        if isinstance(inner, Concat):
            yield from _branches(inner, ordered)
        else:
            yield _parts(inner, ordered)


def _only(node: Node) -> Node:
    """The one node that a sequence amounts to, where it amounts to one."""
    while isinstance(node, Seq):
        acting = [child for child in node.nodes if not isinstance(child, Identity)]
        if len(acting) != 1:
            return node
        node = acting[0]
    return node


def _activation_parts(activation: str | None) -> list[str]:
    return [] if activation is None else [activation]


def _norm_part(norm: Norm) -> str:
    return f"{norm.kind}norm({norm.eps!r})"


def _leaf_parts(node: Node) -> list[str]:
    match node:
        case Conv():
            bias = "+b" if node.bias else ""
            sweep = f"{_pair(node.kernel)}/{_pair(node.stride)}+{_pair(node.padding)}"
            text = f"conv({node.channels},{sweep},g{node.groups}{bias})"
            norm = [] if node.norm is None else [_norm_part(node.norm)]
            return [text, *norm, *_activation_parts(node.activation)]
        case Norm():
            return [_norm_part(node)]
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
                else [f"scale({node.value!r}{',learned' if node.learned else ''})"]
            )
        case LRN():
            return [f"lrn({node.size},{node.alpha!r},{node.beta!r},{node.k!r})"]
        case Dropout():
            return [f"dropout({node.rate!r})"] if node.rate > 0 else []
    raise AssertionError(f"no canonical text for {type(node).__name__}")
