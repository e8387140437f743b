"""Inheritance of a trained network's weights by a similar network: sliced if that is narrower, padded if it is wider.

This is a fold over both graphs at once, nodes matched by their steps. It tracks, for every channel of the child, the
channel of the parent that it continues, so that a branch that is removed takes its own block of the next layer's input
channels with it, at any position of the concatenation. A filter that continues one of the parent's reads new channels
with weight zero, as in Net2Net's widening (Chen et al. 2016, arXiv:1511.05641): a child that is only wider computes the
same function as its parent. Other filters are freshly initialised: new ones, and those none of whose inputs continue. A
layer behind a new block is trained anew, while the layers behind it keep their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from search_space.graph import Concat, Conv, Graph, Linear, Node, Norm, Pool, Residual, Scale, Seq, Shape, Slice, Tap
from search_space.leaves import GlobalPool, Pointwise
from search_space.rewrite import below

NEW = -1
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@final
@dataclass(frozen=True, eq=False)
class Inherited:
    """Initial weights of a network with a trained parent.

    Attributes:
        state: its state dict.
        share: share of its parameters that its parent has trained, in [0, 1].
    """

    state: dict[str, Tensor]
    share: float


def inherit(parent: Graph, weights: Mapping[str, Tensor], child: Graph, fresh: Mapping[str, Tensor]) -> Inherited:
    """Return the weights of `parent` where `child` continues them, freshly initialised ones elsewhere.

    Args:
        parent: graph of the trained network.
        weights: its state dict.
        child: graph of the network to train.
        fresh: its state dict as built; not changed.
    """
    fold = _Fold(weights, fresh)
    identity = torch.arange(child.input.channels)
    fold.node(child.root, parent.root, _Stream(child.input, parent.input, identity), "")
    parameters = sum(tensor.numel() for key, tensor in fresh.items() if not key.endswith(STATISTICS))
    return Inherited(fold.state, fold.inherited / parameters if parameters else 0.0)


@final
@dataclass(frozen=True, eq=False)
class _Stream:
    """Feature map at one position of both networks.

    Attributes:
        shape: shape of the child's map.
        before: shape of the parent's map at the same position.
        sources: (channels,) index of the parent's channel that each channel of the child's continues; NEW for none.
    """

    shape: Shape
    before: Shape
    sources: Tensor


class _Fold:
    """Fold over both graphs that collects the child's weights."""

    def __init__(self, old: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> None:
        self.old = old
        self.state = {key: tensor.clone() for key, tensor in fresh.items()}
        self.inherited = 0

    def node(self, child: Node, parent: Node | None, at: _Stream, path: str, like: Tensor | None = None) -> _Stream:
        """Inherit the weights of a node, and return the feature map behind it.

        Args:
            child: the node.
            parent: the parent's node at the same position, of the same type; None for none.
            at: feature map in front of it.
            path: its path, in both networks.
            like: sources of the shortcut beside it, for its outputs to follow.
        """
        match child:
            case Seq():
                return self._seq(child, parent, at, path, like)
            case Concat():
                return self._concat(child, parent, at, path)
            case Residual():
                return self._residual(child, parent, at, path)
            case Tap():
                if isinstance(parent, Tap):
                    self.node(child.head, _same(child.head, parent.head), at, below(path, "head"))
                return at
        return self._leaf(child, parent, at, path, like)

    def _seq(self, child: Seq, parent: Node | None, at: _Stream, path: str, like: Tensor | None) -> _Stream:
        ahead = list(zip(parent.steps, parent.children, strict=True)) if parent else []
        for node, step in zip(child.nodes, child.steps, strict=True):
            found = [index for index, (name, other) in enumerate(ahead) if name == step and _same(node, other)]
            if not found:
                at = self.node(node, None, at, below(path, step), like)
                continue
            at = _passed(at, [other for _, other in ahead[: found[0]]])
            at = self.node(node, ahead[found[0]][1], at, below(path, step), like)
            ahead = ahead[found[0] + 1 :]
        return _passed(at, [other for _, other in ahead])

    def _concat(self, child: Concat, parent: Node | None, at: _Stream, path: str) -> _Stream:
        before = parent.output_shape(at.before) if parent else at.before
        blocks = _blocks(parent, at.before)
        sources = []
        for branch, step in zip(child.branches, child.steps, strict=True):
            other, start = blocks.get(step, (None, 0))
            other = _same(branch, other)
            out = self.node(branch, other, at, below(path, step)).sources
            sources.append(torch.where(out == NEW, NEW, out + start) if other else torch.full_like(out, NEW))
        return _Stream(child.output_shape(at.shape), before, torch.cat(sources))

    def _residual(self, child: Residual, parent: Node | None, at: _Stream, path: str) -> _Stream:
        """Inherit both sides: channels continue as the shortcut's do, and the body's last convolution follows them."""
        body, shortcut = parent.children if parent else (None, None)
        short = self.node(child.shortcut, _same(child.shortcut, shortcut), at, below(path, "shortcut"))
        long = self.node(child.body, _same(child.body, body), at, below(path, "body"), short.sources)
        sources = torch.where(short.sources == NEW, long.sources, short.sources)
        return _Stream(short.shape, parent.output_shape(at.before) if parent else at.before, sources)

    def _leaf(self, child: Node, parent: Node | None, at: _Stream, path: str, like: Tensor | None) -> _Stream:
        shape, before = child.output_shape(at.shape), parent.output_shape(at.before) if parent else at.before
        match child, parent:
            case Conv(), Conv():
                return _Stream(shape, before, self._conv(child, parent, at, path, like))
            case Linear(), Linear():
                return _Stream(shape, before, self._linear(child, parent, at, path))
            case ((Conv() | Linear()), _):
                return _Stream(shape, before, torch.full((shape.channels,), NEW))
            case Slice(), _:
                start = parent.start if isinstance(parent, Slice) else 0
                cut = at.sources[child.start : child.stop] - start
                return _Stream(shape, before, torch.where((cut < 0) | (cut >= before.channels), NEW, cut))
            case Norm(kind=kind), Norm(kind=other) if kind == other:
                self._vectors(path, at.sources, at.sources != NEW)
            case Scale(learned=True), Scale(learned=True):
                self._vectors(path, at.sources, at.sources != NEW)
        return _Stream(shape, before, at.sources)

    def _conv(self, child: Conv, parent: Conv, at: _Stream, path: str, like: Tensor | None) -> Tensor:
        """Inherit a convolution, and return the parent's filter that each of the child's continues."""
        rows = _filters(child, parent, at, like)
        if any((new - old) % 2 for new, old in zip(child.kernel, parent.kernel, strict=True)):
            return rows  # kernels without a common centre: trained anew
        groups = child.groups, parent.groups
        inherits = self._weight(below(path, "conv.weight"), rows, at, groups, child.kernel)
        self._vectors(below(path, "conv"), rows, inherits, ("bias",))
        if child.norm and parent.norm and child.norm.kind == parent.norm.kind:
            self._vectors(below(path, "norm"), rows, inherits)
        return rows

    def _linear(self, child: Linear, parent: Linear, at: _Stream, path: str) -> Tensor:
        """Inherit a dense layer, a convolution whose kernel is the whole map."""
        rows = _continued(child.features, parent.features)
        if at.shape[1:] != at.before[1:]:
            return rows
        inner = path if child.activation is None else below(path, "0")
        other = path if parent.activation is None else below(path, "0")
        if inner != other:
            return rows
        inherits = self._weight(below(inner, "weight"), rows, at, (1, 1), (at.shape.height, at.shape.width))
        self._vectors(inner, rows, inherits, ("bias",))
        return rows

    def _weight(self, path: str, rows: Tensor, at: _Stream, groups: tuple[int, int], kernel: tuple[int, int]) -> Tensor:
        """Inherit filters, centre on centre, and return a mask (outputs,) of those that continue one of the parent's.

        Args:
            path: path of the weight.
            rows: (outputs,) the parent's filter that each continues, NEW for none.
            at: feature map in front of it.
            groups: the child's groups and the parent's.
            kernel: the child's kernel.
        """
        key = below("body", path)
        fresh = self.state[key].reshape(len(rows), -1, *kernel)  # (outputs, inputs / groups, h, w)
        old = self.old[key]
        old = old if old.dim() == 4 else old.reshape(len(old), -1, *kernel)
        inner, outer = fresh.shape[1], old.shape[1]
        first = torch.arange(len(rows)) // (len(rows) // groups[0]) * inner
        source = at.sources[first[:, None] + torch.arange(inner)]  # (outputs, inputs / groups), the parent's channels
        place = source - (rows // (len(old) // groups[1]) * outer)[:, None]
        reads = (rows[:, None] != NEW) & (source != NEW) & (place >= 0) & (place < outer)
        high, wide = ((new - had) // 2 for new, had in zip(kernel, old.shape[2:], strict=True))
        centred = functional.pad(old, (wide, wide, high, high))  # negative: cropped
        taken = centred[rows.clamp(min=0)[:, None], place.clamp(0, outer - 1)]
        inherits = reads.any(dim=1)
        mixed = torch.where(reads[:, :, None, None], taken, torch.zeros(()))
        self.state[key] = torch.where(inherits[:, None, None, None], mixed, fresh).reshape(self.state[key].shape)
        common = [min(new, had) for new, had in zip(kernel, old.shape[2:], strict=True)]
        self.inherited += int(reads.sum()) * common[0] * common[1]
        return inherits

    def _vectors(
        self, path: str, rows: Tensor, inherits: Tensor, names: Sequence[str] = ("weight", "bias", *STATISTICS)
    ) -> None:
        """Inherit the parameters and statistics (channels,) of a module, and its count of batches."""
        for key in (f"{below('body', path)}.{name}" for name in names):
            if key not in self.state or key not in self.old or not inherits.any():
                continue
            taken = self.old[key]
            if taken.dim():
                taken = torch.where(inherits, taken[rows.clamp(min=0)], self.state[key])
                self.inherited += 0 if key.endswith(STATISTICS) else int(inherits.sum())
            self.state[key] = taken.clone()


def _same(child: Node, parent: Node | None) -> Node | None:
    """Return the parent's node if it is of the child's type."""
    return parent if type(parent) is type(child) else None


def _blocks(parent: Node | None, before: Shape) -> dict[str, tuple[Node, int]]:
    """Return the branches of a concatenation by their steps, each with its first channel."""
    blocks: dict[str, tuple[Node, int]] = {}
    start = 0
    for step, branch in zip(parent.steps, parent.children, strict=True) if parent else ():
        blocks[step] = branch, start
        start += branch.output_shape(before).channels
    return blocks


def _passed(at: _Stream, parents: Sequence[Node]) -> _Stream:
    """Return the child's feature map behind nodes that only the parent has."""
    before, sources = at.before, at.sources
    for node in parents:
        before = node.output_shape(before)
        if not _keeps_channels(node):
            sources = torch.full_like(sources, NEW)
    return _Stream(at.shape, before, sources)


def _keeps_channels(node: Node) -> bool:
    """Return whether each channel behind a node depends on the same channel before it alone."""
    if isinstance(node, Seq):
        return all(_keeps_channels(inner) for inner in node.nodes)
    if isinstance(node, Residual):
        return _keeps_channels(node.shortcut)
    return isinstance(node, Pointwise | Pool | GlobalPool | Tap)


def _continued(count: int, before: int) -> Tensor:
    """Return sources by position: the first `before` channels continue, the rest are new."""
    places = torch.arange(count)
    return torch.where(places < before, places, NEW)


def _filters(child: Conv, parent: Conv, at: _Stream, like: Tensor | None) -> Tensor:
    """Return the parent's filter that each of the child's continues; depthwise ones follow their input channels."""
    times, times_before = child.channels // at.shape.channels, parent.channels // at.before.channels
    depthwise = child.groups == at.shape.channels and parent.groups == at.before.channels
    if depthwise and times == times_before:
        sources = at.sources.repeat_interleave(times)
        return torch.where(sources == NEW, NEW, sources * times + torch.arange(child.channels) % times)
    if like is not None and len(like) == child.channels:
        return torch.where(like < parent.channels, like, NEW)
    return _continued(child.channels, parent.channels)
