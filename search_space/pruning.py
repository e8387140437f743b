"""Structured pruning: a smaller network of the same algebra, without some of the channels.

A channel that is removed from a convolution is also removed from whatever reads it. Channels that are added up, or that
stand at the same position of two groups of a grouped convolution, can only be removed together: they are one class. A
branch of a concatenation that has lost all its channels is removed as a whole. A network without some classes computes
what the network itself computes with the filters, biases, scales and shifts of these channels set to zero, because then
each of them is zero everywhere. Layers over channels (layer norm, local response normalization) would differ, so that
the channels they read stay.

Auxiliary heads are removed, as pruning follows the training that they serve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

from search_space.graph import (
    LRN,
    Concat,
    Conv,
    Graph,
    Identity,
    Linear,
    Node,
    Norm,
    Residual,
    Seq,
    Shape,
    Slice,
    Tap,
    child_path,
)
from search_space.rewrite import below

Classes = tuple[int, ...]
"""Class of each channel of a feature map, in order."""


class PruningError(ValueError):
    """Channels that can't be removed; the message names the law and the place."""


@final
@dataclass(frozen=True)
class ChannelClasses:
    """Channels of a network by the classes that can only be removed as a whole.

    Attributes:
        read: classes of the channels that each leaf reads, by the leaf's path.
        written: classes of the channels that each convolution writes, by its path.
        fixed: classes that must stay: those of the image and of the logits, and those that a layer over channels reads.
        needed: sets of classes of which one must stay, since a layer reads them.
        branches: classes of the branches of concatenations that can be removed as a whole.
    """

    read: Mapping[str, Classes]
    written: Mapping[str, Classes]
    fixed: frozenset[int]
    needed: tuple[frozenset[int], ...]
    branches: tuple[frozenset[int], ...]

    @property
    def removable(self) -> tuple[int, ...]:
        """Classes that need not stay, in the order in which the network computes them."""
        found = dict.fromkeys(one for classes in self.written.values() for one in classes)
        return tuple(one for one in found if one not in self.fixed)

    def order(self, units: Sequence[frozenset[int]]) -> list[frozenset[int]]:
        """Return those units that can be removed one after another, in the given order, passing over the others.

        Args:
            units: sets of classes that are removed together.
        """
        left = [set(classes) for classes in self.needed]
        of = _places(left)
        found = []
        for unit in units:
            touched = {place for one in unit for place in of.get(one, ())}
            if unit & self.fixed or any(left[place] <= unit for place in touched):
                continue
            for place in touched:
                left[place] -= unit
            found.append(unit)
        return found


def _places(sets: Sequence[set[int]]) -> dict[int, list[int]]:
    """Return the indices of the sets that hold each class."""
    found: dict[int, list[int]] = {}
    for index, classes in enumerate(sets):
        for one in classes:
            found.setdefault(one, []).append(index)
    return found


def channel_classes(graph: Graph) -> ChannelClasses:
    """Return the classes of a network's channels."""
    trace = _Trace()
    image = trace.new(graph.input.channels)
    logits = trace.node(graph.root, image, graph.input, "")
    trace.fixed += [*image, *logits]
    return trace.result()


@dataclass
class _Trace:
    """Fold over a graph that numbers its channels and unites those that can only be removed together."""

    parents: list[int] = field(default_factory=list)
    read: dict[str, Classes] = field(default_factory=dict)
    written: dict[str, Classes] = field(default_factory=dict)
    fixed: list[int] = field(default_factory=list)
    needed: list[Classes] = field(default_factory=list)
    branches: list[Classes] = field(default_factory=list)

    def new(self, count: int) -> Classes:
        first = len(self.parents)
        self.parents += range(first, first + count)
        return tuple(range(first, first + count))

    def root(self, one: int) -> int:
        while self.parents[one] != one:
            self.parents[one] = self.parents[self.parents[one]]
            one = self.parents[one]
        return one

    def unite(self, one: int, other: int) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self.parents[second] = first

    def result(self) -> ChannelClasses:
        def named(classes: Sequence[int]) -> Classes:
            return tuple(self.root(one) for one in classes)

        fixed = frozenset(named(self.fixed))
        branches = [frozenset(named(branch)) for branch in self.branches]
        return ChannelClasses(
            {path: named(classes) for path, classes in self.read.items()},
            {path: named(classes) for path, classes in self.written.items()},
            fixed,
            tuple(dict.fromkeys(frozenset(named(classes)) for classes in self.needed)),
            tuple(dict.fromkeys(branch for branch in branches if not branch & fixed)),
        )

    def node(self, node: Node, at: Classes, shape: Shape, path: str) -> Classes:
        match node:
            case Seq():
                for index, child in enumerate(node.nodes):
                    at = self.node(child, at, shape, child_path(path, child, index))
                    shape = child.output_shape(shape)
                return at
            case Concat():
                found = [self.node(one, at, shape, child_path(path, one, i)) for i, one in enumerate(node.branches)]
                self.branches += found if len(found) > 1 else []
                return tuple(one for branch in found for one in branch)
            case Residual():
                body, shortcut = (self.node(side, at, shape, below(path, step)) for side, step in _sides(node))
                for one, other in zip(body, shortcut, strict=True):
                    self.unite(one, other)
                return body
            case Tap():
                return at
        return self._leaf(node, at, path)

    def _leaf(self, leaf: Node, at: Classes, path: str) -> Classes:
        self.read[path] = at
        match leaf:
            case Conv():
                self.needed.append(at)
                self.written[path] = self._conv(leaf, at)
                return self.written[path]
            case Linear():
                self.needed.append(at)
                features = self.new(leaf.features)
                self.fixed += features
                return features
            case Norm(kind="layer") | LRN():
                self.fixed += at
            case Slice(start=start, stop=stop):
                return at[start:stop]
        return at

    def _conv(self, leaf: Conv, at: Classes) -> Classes:
        outer = leaf.channels // leaf.groups
        if leaf.groups == len(at) > 1:  # each filter reads one channel, and goes with it
            written = tuple(one for one in at for _ in range(outer))
        else:
            inner = len(at) // leaf.groups
            for place in range(inner, len(at)):  # groups must stay of one size
                self.unite(at[place], at[place % inner])
            written = self.new(outer) * leaf.groups
        if leaf.norm is not None and leaf.norm.kind == "layer":
            self.fixed += written
        return written


def _sides(node: Residual) -> list[tuple[Node, str]]:
    return list(zip(node.children, node.steps, strict=True))


@final
@dataclass(frozen=True)
class Pruned:
    """Network without some of its channels.

    Attributes:
        graph: the smaller network.
        classes: classes of the channels of the network that it was made of.
        removed: the classes that are gone.
        origins: path of each leaf in the network that it was made of, by its path in the smaller one.
    """

    graph: Graph
    classes: ChannelClasses
    removed: frozenset[int]
    origins: Mapping[str, str]

    def kept(self, classes: Classes) -> list[int]:
        """Return the positions of a feature map's channels that are left."""
        return [place for place, one in enumerate(classes) if one not in self.removed]

    def document(self) -> dict[str, list[int]]:
        """Return the channels that each convolution has lost, by its path, as JSON values; see `removed_classes`."""
        lost = {path: _lost(written, self.removed) for path, written in self.classes.written.items()}
        return {path: places for path, places in lost.items() if places}


def _lost(written: Classes, removed: frozenset[int]) -> list[int]:
    return [place for place, one in enumerate(written) if one in removed]


def without(graph: Graph, removed: frozenset[int], classes: ChannelClasses | None = None) -> Pruned:
    """Return a network without the channels of some classes.

    Args:
        graph: the network.
        removed: the classes.
        classes: the network's, if they are known already.

    Raises:
        PruningError: a class must stay, or a layer would have nothing to read.
    """
    classes = classes or channel_classes(graph)
    if removed & classes.fixed:
        fixed = removed & classes.fixed
        place = next((path for path, written in classes.written.items() if {*written} & fixed), "the image or the end")
        raise PruningError(f"channels of image and logits, and for layers over channels, must stay, got {place}")
    empty = next((needed for needed in classes.needed if needed <= removed), None)
    if empty is not None:
        place = next(path for path, read in classes.read.items() if frozenset(read) == empty)
        raise PruningError(f"a layer must read at least one channel, none is left for {place}")
    fold = _Rebuild(classes, removed)
    root = fold.node(graph.root, fold.image(graph.input), "", "")
    assert root is not None  # it writes the logits
    return Pruned(Graph(root, graph.input), classes, removed, fold.origins)


class _Rebuild:
    """Fold over a graph that leaves out classes of channels."""

    def __init__(self, classes: ChannelClasses, removed: frozenset[int]) -> None:
        self.classes = classes
        self.removed = removed
        self.origins: dict[str, str] = {}
        self._out: Classes = ()

    def image(self, shape: Shape) -> Classes:
        return tuple(range(shape.channels))

    def node(self, node: Node, at: Classes, old: str, new: str) -> Node | None:
        """Return the smaller node, None if none of its output channels is left; `_out` has the classes of all."""
        match node:
            case Seq():
                return self._seq(node, at, old, new)
            case Concat():
                return self._concat(node, at, old, new)
            case Residual():
                sides = [self.node(side, at, below(old, step), below(new, step)) for side, step in _sides(node)]
                body, shortcut = sides
                return None if body is None or shortcut is None else replace(node, body=body, shortcut=shortcut)
            case Tap():
                self._out = at
                return Identity(name=node.name)
        return self._leaf(node, at, old, new)

    def _seq(self, node: Seq, at: Classes, old: str, new: str) -> Node | None:
        found = []
        for index, child in enumerate(node.nodes):
            found.append(self.node(child, at, child_path(old, child, index), child_path(new, child, index)))
            at = self._out
        self._out = at
        smaller = tuple(one for one in found if one is not None)  # a sequence without channels has none to its end
        return replace(node, nodes=smaller) if self._left(at) else None

    def _concat(self, node: Concat, at: Classes, old: str, new: str) -> Node | None:
        found: list[Node] = []
        out: list[int] = []
        for index, branch in enumerate(node.branches):
            here = child_path(new, branch, len(found))
            before = dict(self.origins)
            smaller = self.node(branch, at, child_path(old, branch, index), here)
            out += self._out
            if smaller is None:
                self.origins = before
            else:
                found.append(smaller)
        self._out = tuple(out)
        return replace(node, branches=tuple(found)) if found else None

    def _leaf(self, leaf: Node, at: Classes, old: str, new: str) -> Node | None:
        self.origins[new] = old
        self._out = at
        match leaf:
            case Conv():
                self._out = self.classes.written[old]
                return self._conv(leaf, at) if self._left(self._out) else None
            case Linear():
                self._out = (-1,) * leaf.features  # of no class
                return leaf
            case Slice(start=start, stop=stop):
                self._out = at[start:stop]
                first, count = self._left(at[:start]), self._left(self._out)
                return replace(leaf, start=first, stop=first + count) if count else None
        return leaf if self._left(at) else None

    def _conv(self, leaf: Conv, at: Classes) -> Node:
        depthwise = leaf.groups == len(at) > 1
        groups = self._left(at) if depthwise else leaf.groups
        return replace(leaf, channels=self._left(self._out), groups=groups)

    def _left(self, classes: Classes) -> int:
        return sum(one not in self.removed for one in classes)


def removed_classes(classes: ChannelClasses, lost: Mapping[str, Any]) -> frozenset[int]:
    """Return the classes that a document of lost channels names.

    Args:
        classes: those of the network.
        lost: positions of the channels that each convolution has lost, by its path.

    Raises:
        PruningError: there is no such convolution or channel, or only a part of a class is named.
    """
    for path, places in lost.items():
        count = len(classes.written.get(path, ()))
        if not isinstance(places, list) or not all(type(one) is int and 0 <= one < count for one in places):
            raise PruningError(f"removed must list channels of convolutions by path, got others at {str(path)[:60]}")
    removed = frozenset(classes.written[path][place] for path, places in lost.items() for place in places)
    for path, written in classes.written.items():
        if sorted(set(lost.get(path, []))) != _lost(written, removed):
            raise PruningError(f"channels that are tied to one another must be removed together, got some at {path}")
    return removed


def fewest(units: Sequence[frozenset[int]], fits: Callable[[frozenset[int]], bool]) -> frozenset[int] | None:
    """Return the shortest prefix of units, as one set of classes, that fits; None if not even all do.

    Args:
        units: sets of classes in the order of their removal.
        fits: whether a removal is large enough; if one is, larger ones are.
    """
    low, high = 0, len(units)
    if not fits(frozenset().union(*units)):
        return None
    while low < high:
        middle = (low + high) // 2
        if fits(frozenset().union(*units[:middle])):
            high = middle
        else:
            low = middle + 1
    return frozenset().union(*units[:low])
