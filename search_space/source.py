"""Source code of a network: a fold over its graph to readable Python that needs torch alone.

The classes of the written file keep the graph's structure, so its parameters have the names of the built module's:
`network.build(graph).state_dict()` loads into it strictly. Names come from the graph, which allows identifiers only,
and values are numbers; no other text of the graph is written to the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from search_space.cost import cost
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
from search_space.identity import network_id
from search_space.source_parts import HEAD, NETWORK, PARTS, PROGRAM, TAPPED_NETWORK

STEP = "    "
ACTIVATIONS = {"relu": "nn.ReLU", "relu6": "nn.ReLU6", "gelu": "nn.GELU"}


def source(graph: Graph) -> str:
    """Return the text of a Python file with the network as class `Network`, and a program that classifies images.

    The file reads `weights.safetensors` (float32 and int64 tensors under the names of the built module's state) and
    `preprocessing.json` (`mean` and `std` of each channel, `classes`) from its own folder. Write it in UTF-8.
    """
    writer = _Writer()
    *above, last = writer.expression(graph.root, graph.input, "self.body = ", 2)
    lines = [line.text() for line in (*above, _Line(last.code.removesuffix(","), last.note))]
    total = cost(graph)
    summary = f"Network {network_id(graph)}: {total.params:,} parameters, {total.macs:,} multiply–accumulates an image."
    network = (TAPPED_NETWORK if "Tap" in writer.used else NETWORK).format(
        shape=", ".join(str(extent) for extent in graph.input), outputs=graph.output.size, body="\n".join(lines)
    )
    parts = [text for name, text in PARTS.items() if name in writer.used]
    return "\n".join([HEAD.format(summary=summary, shape=tuple(graph.input)), *parts, network, PROGRAM])


@dataclass(frozen=True, slots=True)
class _Line:
    """Line of code, with the shape that is its comment."""

    code: str
    note: Shape | None = None

    def text(self) -> str:
        return self.code if self.note is None else f"{self.code}  # {self.note}"


@dataclass
class _Writer:
    """Writer of expressions, which notes the helper classes that they use."""

    used: set[str] = field(default_factory=set)

    def expression(self, node: Node, shape: Shape, prefix: str, depth: int) -> Iterator[_Line]:
        """Yield the lines of a node as an argument: `prefix` first, a comma last, the output shape as a comment."""
        indent, output = STEP * depth, node.output_shape(shape)
        children = list(self._children(node, shape, depth + 1))
        if not children:
            yield _Line(f"{indent}{prefix}{self._leaf(node, shape)},", output)
            return
        yield _Line(f"{indent}{prefix}{self._join(node)}(")
        yield from children
        if isinstance(node, Residual) and node.activation is not None:
            yield _Line(f"{indent}{STEP}activation={ACTIVATIONS[node.activation]}(),")
        if isinstance(node, Tap):
            yield _Line(f"{indent}{STEP}weight={float(node.weight)!r},")
        yield _Line(f"{indent}),", None if isinstance(node, Seq) else output)  # its last line has the shape

    def _join(self, node: Node) -> str:
        match node:
            case Seq(nodes=nodes):
                return self._helper("Steps") if any(child.name for child in nodes) else "nn.Sequential"
            case Concat():
                return self._helper("Parallel")
            case Residual():
                return self._helper("Sum")
            case Tap():
                return self._helper("Tap")
        raise AssertionError(f"no class for {type(node).__name__}")

    def _children(self, node: Node, shape: Shape, depth: int) -> Iterator[_Line]:
        named = isinstance(node, Residual | Tap)
        for step, child in zip(node.steps, node.children, strict=True):
            named = named or bool(child.name)
            if not named:
                yield from self.expression(child, shape, "", depth)
            elif step.isdigit():  # an unnamed child after a named one
                *above, last = self.expression(child, shape, f'**{{"{step}": ', depth)
                yield from above
                yield _Line(f"{last.code.removesuffix(',')}}},", last.note)
            else:
                yield from self.expression(child, shape, f"{step}=", depth)
            if isinstance(node, Seq):
                shape = child.output_shape(shape)

    def _helper(self, name: str) -> str:
        self.used.add(name)
        return name

    def _leaf(self, leaf: Node, shape: Shape) -> str:
        match leaf:
            case Conv():
                return self._conv(leaf, shape)
            case Linear(features=features, bias=bias, activation=activation):
                dense = f"{self._helper('Dense')}({shape.size}, {features}{'' if bias else ', bias=False'})"
                return dense if activation is None else f"nn.Sequential({dense}, {ACTIVATIONS[activation]}())"
            case Norm(eps=eps):
                return f"{self._norm(leaf)}({shape.channels}{'' if eps == Norm().eps else f', eps={float(eps)!r}'})"
            case Pool():
                return _pool(leaf)
            case GlobalPool(kind=kind, size=size):
                return f"nn.Adaptive{kind.capitalize()}Pool2d({_pair(size)})"
        return self._plain_leaf(leaf, shape)

    def _plain_leaf(self, leaf: Node, shape: Shape) -> str:
        match leaf:
            case Activation(kind=kind):
                return f"{ACTIVATIONS[kind]}()"
            case Slice(start=start, stop=stop):
                return f"{self._helper('Cut')}({start}, {stop})"
            case Scale(value=value, learned=True):
                return f"{self._helper('ChannelScale')}({shape.channels}, {float(value)!r})"
            case Scale(value=value):
                return f"{self._helper('Scale')}({float(value)!r})"
            case LRN(size=size, alpha=alpha, beta=beta, k=k):
                return f"nn.LocalResponseNorm({size}, {float(alpha)!r}, {float(beta)!r}, {float(k)!r})"
            case Dropout(rate=rate):
                return f"nn.Dropout({float(rate)!r})"
            case Identity():
                return "nn.Identity()"
            case Seq():
                return "nn.Sequential()"
        raise AssertionError(f"no source for {type(leaf).__name__}")

    def _norm(self, norm: Norm) -> str:
        return "nn.BatchNorm2d" if norm.kind == "batch" else self._helper("ChannelNorm")

    def _conv(self, leaf: Conv, shape: Shape) -> str:
        words = [str(shape.channels), str(leaf.channels), _pair(leaf.kernel)]
        if leaf.stride != (1, 1):
            words.append(f"stride={_pair(leaf.stride)}")
        if leaf.padding != (0, 0):
            words.append(f"padding={_pair(leaf.padding)}")
        if leaf.groups != 1:
            words.append(f"groups={leaf.groups}")
        if leaf.bias:
            words.append("bias=True")
        if leaf.norm is None or leaf.norm.kind != "batch":
            words.append(f"norm={None if leaf.norm is None else self._norm(leaf.norm)}")
        if leaf.norm is not None and leaf.norm.eps != Norm().eps:
            words.append(f"eps={float(leaf.norm.eps)!r}")
        if leaf.activation != "relu":
            words.append(f"activation={None if leaf.activation is None else ACTIVATIONS[leaf.activation]}")
        return f"{self._helper('Conv')}({', '.join(words)})"


def _pair(pair: Pair) -> str:
    return str(pair[0] if pair[0] == pair[1] else pair)


def _pool(leaf: Pool) -> str:
    words = [_pair(leaf.kernel), f"stride={_pair(leaf.stride)}"]
    if leaf.padding != (0, 0):
        words.append(f"padding={_pair(leaf.padding)}")
    if leaf.ceil:
        words.append("ceil_mode=True")
    if leaf.kind == "avg" and not leaf.count_padding:
        words.append("count_include_pad=False")
    return f"nn.{leaf.kind.capitalize()}Pool2d({', '.join(words)})"
