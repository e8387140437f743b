"""Rewrites of a network: the named steps by which the Inception papers got from one block to the next.

A rule is a function from a node to its replacement. `rewrite` applies it wherever it matches, and reports parameters,
MACs and receptive field before and after. Two rules, `merge` and `fold`, keep the outputs; for these, and for the nodes
that any other rule leaves alone, `weights.transfer` transfers trained weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, final

from search_space.cost import Cost, cost
from search_space.graph import (
    Concat,
    Conv,
    Graph,
    Node,
    Norm,
    Pair,
    Pool,
    Residual,
    Seq,
    Shape,
    Slice,
    Tap,
)
from search_space.receptive import receptive_field

DEFAULT_RATIO = 0.5


class RewriteError(ValueError):
    """A rewrite that does not exist or matches nowhere."""


@final
@dataclass(frozen=True, slots=True)
class Source:
    """Source of the weights of a leaf.

    Attributes:
        paths: paths of modules of the original network.
        how: `copy`; `join`, concatenated along the output channels; `fold`, batch norm into the convolution.
    """

    paths: tuple[str, ...]
    how: Literal["copy", "join", "fold"] = "copy"


Sources = dict[str, Source]
Match = tuple[Node, Sources] | None
Rule = Callable[[Node, Shape, float], Match]


@final
@dataclass(frozen=True, slots=True)
class Measure:
    """Cost and receptive field of a network."""

    cost: Cost
    receptive_field: Pair


@final
@dataclass(frozen=True)
class Rewritten:
    """Result of a rewrite.

    Attributes:
        rule: name of the rule.
        graph: the rewritten network.
        at: paths of the replaced nodes, in the original network.
        before: cost and receptive field of the original network.
        after: cost and receptive field of the rewritten network.
        sources: source of the weights by module of the rewritten network; others are freshly initialised.
    """

    rule: str
    graph: Graph
    at: tuple[str, ...]
    before: Measure
    after: Measure
    sources: Mapping[str, Source]

    @property
    def keeps_outputs(self) -> bool:
        """True if the network with transferred weights has the same outputs as the original in evaluation mode."""
        return self.rule in KEEPING


def rewrite(graph: Graph, rule: str, *, ratio: float = DEFAULT_RATIO, within: str = "") -> Rewritten:
    """Return the network with a rule applied wherever it matches.

    Args:
        graph: the network.
        rule: one of `RULES`.
        ratio: for `reduce`, the width of a new 1×1 as a share of the width of the layer beside it, in (0, 1].
        within: a path; only the node there and nodes below it are rewritten.

    Raises:
        RewriteError: there is no such rule, it matches nowhere, or the ratio is out of range.
    """
    if rule not in RULES:
        raise RewriteError(f"a rewrite must be one of {sorted(RULES)}, got {rule!r}")
    if not 0 < ratio <= 1:
        raise RewriteError(f"ratio must lie in (0, 1], got {ratio}")
    walker = _Walker(RULES[rule], ratio, within, [])
    root, sources = walker.apply(graph.root, graph.input, "")
    if not walker.found:
        raise RewriteError(f"{rule} must fit somewhere, it fits nowhere" + (f" below {within}" if within else ""))
    after = Graph(root, graph.input)
    return Rewritten(rule, after, tuple(walker.found), _measure(graph), _measure(after), sources)


def _measure(graph: Graph) -> Measure:
    return Measure(cost(graph), receptive_field(graph))


def below(step: str, path: str) -> str:
    """Return a path under one more step; either may be empty."""
    return ".".join(part for part in (step, path) if part)


@dataclass(frozen=True)
class _Walker:
    """Fold that applies a rule bottom up and collects the paths of its matches.

    The sources of a node are relative to the node.
    """

    rule: Rule
    ratio: float
    within: str
    found: list[str]

    def apply(self, node: Node, shape: Shape, path: str) -> tuple[Node, Sources]:
        children: list[Node] = []
        sources: Sources = {}
        current = shape
        for child, step in zip(node.children, node.steps, strict=True):
            here = below(path, step)
            changed, inner = self.apply(child, current, here)
            sources |= {
                below(step, key): replace(s, paths=tuple(below(step, p) for p in s.paths)) for key, s in inner.items()
            }
            children.append(changed)
            if isinstance(node, Seq):
                current = child.output_shape(current, here)
        rebuilt = _with_children(node, tuple(children))
        if not node.children:
            sources = {"": Source(("",))}
        inside = not self.within or path == self.within or path.startswith(f"{self.within}.")
        match = self.rule(rebuilt, shape, self.ratio) if inside else None
        if match is None:
            return rebuilt, sources
        self.found.append(path)
        after, moved = match
        return after, _through(moved, sources)


def _through(moved: Sources, inner: Sources) -> Sources:
    """Return the sources of a replacement, given for a node with rewritten children, in terms of the original."""
    result: Sources = {}
    for key, source in moved.items():
        if all(path in inner for path in source.paths):
            origins = [inner[path] for path in source.paths]
            how = origins[0].how if source.how == "copy" else source.how
            result[key] = Source(tuple(path for origin in origins for path in origin.paths), how)
    return result


def _with_children(node: Node, children: tuple[Node, ...]) -> Node:
    match node:
        case Seq(name=name):
            return Seq(_kept_names(node, children), name=name)
        case Concat(name=name):
            return Concat(_kept_names(node, children), name=name)
        case Residual(activation=activation, name=name):
            return Residual(children[0], children[1], activation, name=name)
        case Tap(weight=weight, name=name):
            return Tap(children[0], weight, name=name)
    return node


def _kept_names(node: Node, children: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the replacements under the names of the originals."""
    pairs = zip(node.children, children, strict=True)
    return tuple(new if new.name == old.name else replace(new, name=old.name) for old, new in pairs)


def reduce_width(node: Node, shape: Shape, ratio: float) -> Match:
    """Put a 1×1 in front of each bare spatial convolution of a concatenation, and a projection behind each bare pool.

    Szegedy et al. 2015, figure 2a to 2b. The 1×1 has the share `ratio` of the convolution's width; a projection has
    that share of the input's channels.
    """
    if not isinstance(node, Concat):
        return None
    reduced = [_reduced(branch, shape, ratio) for branch in node.branches]
    if all(branch is None for branch in reduced):
        return None
    branches: list[Node] = []
    sources: Sources = {}
    for index, (old, new) in enumerate(zip(node.branches, reduced, strict=True)):
        step = node.steps[index]
        branches.append(old if new is None else new)
        if new is None:
            sources |= {below(step, path): Source((below(step, path),)) for path in _leaves(old)}
    return Concat(tuple(branches), name=node.name), sources


def _reduced(branch: Node, shape: Shape, ratio: float) -> Node | None:
    unit = _unit_like(branch)
    if isinstance(branch, Pool) and branch.stride == (1, 1):
        project = replace(unit, channels=_share(ratio, shape.channels), name="project")
        return Seq((replace(branch, name="pool"), project), name=branch.name)
    if isinstance(branch, Conv) and branch.groups == 1 and branch.kernel[0] == branch.kernel[1] > 1:
        reduce = replace(unit, channels=_share(ratio, branch.channels), name="reduce")
        return Seq((reduce, replace(branch, name="conv")), name=branch.name)
    return None


def _unit_like(branch: Node) -> Conv:
    """Return a 1×1 with the bias, norm and activation of the branch's convolution, batch norm and ReLU for a pool."""
    if isinstance(branch, Conv):
        return replace(branch, kernel=(1, 1), stride=(1, 1), padding=(0, 0), groups=1)
    return Conv(1, (1, 1), norm=Norm(), activation="relu")


def _share(ratio: float, channels: int) -> int:
    return max(1, int(ratio * channels + 0.5))


def _leaves(node: Node, path: str = "") -> list[str]:
    """Return the paths of all leaves of a node, relative to it."""
    if not node.children:
        return [] if isinstance(node, Seq) else [path]
    steps = zip(node.steps, node.children, strict=True)
    return [leaf for step, child in steps for leaf in _leaves(child, below(path, step))]


def _square(node: Node, least: int) -> Conv | None:
    """Return the node if it is an ungrouped n×n convolution of stride 1 with n odd and at least `least`."""
    if not isinstance(node, Conv) or node.groups != 1 or node.stride != (1, 1):
        return None
    side = node.kernel[0]
    same = node.padding in {(0, 0), (side // 2, side // 2)}
    return node if same and node.kernel == (side, side) and side % 2 == 1 and side >= least else None


def stack(node: Node, shape: Shape, ratio: float) -> Match:  # noqa: ARG001 - a rule's signature
    """Replace an n×n convolution by a chain of 3×3 with the same receptive field (Szegedy et al. 2016, figure 1)."""
    conv = _square(node, 5)
    if conv is None:
        return None
    padding = (1, 1) if conv.padding[0] else (0, 0)
    links = (replace(conv, kernel=(3, 3), padding=padding, name=f"conv{i}") for i in range(conv.kernel[0] // 2))
    return Seq(tuple(links), name=conv.name), {}


def factorize(node: Node, shape: Shape, ratio: float) -> Match:  # noqa: ARG001 - a rule's signature
    """Replace an n×n convolution by 1×n, then n×1 (Szegedy et al. 2016, section 3.2, figure 3)."""
    conv = _square(node, 3)
    return None if conv is None else (Seq(_asymmetric(conv, conv.channels, conv.channels), name=conv.name), {})


def expand(node: Node, shape: Shape, ratio: float) -> Match:  # noqa: ARG001 - a rule's signature
    """Replace an n×n convolution by parallel 1×n and n×1, half the width each (Szegedy et al. 2016, figure 7)."""
    conv = _square(node, 3)
    if conv is None or conv.channels < 2:
        return None
    half = conv.channels // 2
    return Concat(_asymmetric(conv, conv.channels - half, half), name=conv.name), {}


def _asymmetric(conv: Conv, row: int, column: int) -> tuple[Conv, Conv]:
    side, pad = conv.kernel[0], conv.padding[0]
    return (
        replace(conv, channels=row, kernel=(1, side), padding=(0, pad), name="row"),
        replace(conv, channels=column, kernel=(side, 1), padding=(pad, 0), name="column"),
    )


def separate(node: Node, shape: Shape, ratio: float) -> Match:  # noqa: ARG001 - a rule's signature
    """Replace a spatial convolution by a depthwise and a pointwise one (Chollet 2017, section 1.2)."""
    if not isinstance(node, Conv) or node.groups != 1 or node.kernel == (1, 1):
        return None
    depthwise = Conv(shape.channels, node.kernel, node.stride, node.padding, shape.channels, name="depthwise")
    pointwise = replace(node, kernel=(1, 1), stride=(1, 1), padding=(0, 0), name="pointwise")
    return Seq((depthwise, pointwise), name=node.name), {}


def fold(node: Node, shape: Shape, ratio: float) -> Match:  # noqa: ARG001 - a rule's signature
    """Fold a convolution's batch norm into its filters and bias; outputs in evaluation mode are unchanged."""
    if not isinstance(node, Conv) or node.norm is None or node.norm.kind != "batch":
        return None
    return replace(node, bias=True, norm=None, name=node.name), {"": Source(("",), "fold")}


def merge(node: Node, shape: Shape, ratio: float) -> Match:  # noqa: ARG001 - a rule's signature
    """Merge the first 1×1 of neighbouring branches into one, sliced behind it; outputs are unchanged."""
    if not isinstance(node, Concat):
        return None
    branches: list[Node] = []
    sources: Sources = {}
    merged = False
    for run in _runs(node):
        if len(run) > 1:
            step = f"merged{len(branches)}"
            joined, inner = _merged(node, run, step)
            merged = True
        else:
            joined = node.branches[run[0]]
            step = joined.name or str(len(branches))
            old = node.steps[run[0]]
            inner = {path: Source((below(old, path),)) for path in _leaves(joined)}
        branches.append(joined)
        sources |= {below(step, key): source for key, source in inner.items()}
    return (Concat(tuple(branches), name=node.name), sources) if merged else None


def _runs(node: Concat) -> list[list[int]]:
    """Return the branches in order, in runs whose first 1×1 convolutions can be merged."""
    runs: list[list[int]] = []
    previous = None
    for index, branch in enumerate(node.branches):
        opening = _opening(branch)
        kind = replace(opening, channels=1) if opening else None
        if kind is not None and kind == previous:
            runs[-1].append(index)
        else:
            runs.append([index])
        previous = kind
    return runs


def _opening(branch: Node) -> Conv | None:
    """Return the 1×1 that a branch opens with; none with a layer norm, which would see other branches' channels."""
    first = branch.nodes[0] if isinstance(branch, Seq) and branch.nodes else branch
    if not isinstance(first, Conv) or first.kernel != (1, 1) or first.groups != 1 or first.padding != (0, 0):
        return None
    return first if first.norm is None or first.norm.kind == "batch" else None


def _merged(node: Concat, run: list[int], name: str) -> tuple[Node, Sources]:
    """Return one 1×1 for a run of branches, and the rest of each behind its slice."""
    rests: list[Node] = []
    origins: list[str] = []
    sources: Sources = {}
    start = 0
    for position, index in enumerate(run):
        branch = node.branches[index]
        step = node.steps[index]
        opening = _opening(branch)
        assert opening is not None
        cut = Slice(start, start + opening.channels, name="slice")
        start += opening.channels
        if isinstance(branch, Seq):
            origins.append(below(step, branch.steps[0]))
            rest = Seq((cut, *branch.nodes[1:]), name=branch.name)
            rests.append(rest)
            here = below("split", branch.name or str(position))
            sources |= {below(here, path): Source((below(step, path),)) for path in _leaves(rest)[1:]}
        else:
            origins.append(step)
            rests.append(replace(cut, name=branch.name))
    first = _opening(node.branches[run[0]])
    assert first is not None
    whole = replace(first, channels=start, name="shared")
    sources["shared"] = Source(tuple(origins), "join")
    return Seq((whole, Concat(tuple(rests), name="split")), name=name), sources


KEEPING = frozenset({"merge", "fold"})
RULES: Mapping[str, Rule] = {
    "reduce": reduce_width,
    "stack": stack,
    "factorize": factorize,
    "expand": expand,
    "separate": separate,
    "merge": merge,
    "fold": fold,
}
