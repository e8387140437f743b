"""Peak activation memory against a simulation: a flat list of operations on tensors, each freed after its last read."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from search_space.cost import FLOAT_BYTES, cost
from search_space.graph import (
    Activation,
    Concat,
    Conv,
    Dropout,
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
    conv,
)
from search_space.lowering import lower
from search_space.space import parse_space


@dataclass
class Program:
    """Tensors by number with their sizes, and operations with the tensors read and the one written (None: in place)."""

    sizes: list[int] = field(default_factory=list)
    operations: list[tuple[tuple[int, ...], int | None]] = field(default_factory=list)

    def tensor(self, size: int) -> int:
        self.sizes.append(size)
        return len(self.sizes) - 1

    def emit(self, node: Node, x: int, shape: Shape, training: bool) -> int:
        """Append the node's operations on tensor `x`, and return the number of its output."""
        match node:
            case Seq():
                for child in node.nodes:
                    x = self.emit(child, x, shape, training)
                    shape = child.output_shape(shape)
                return x
            case Identity() | Dropout():
                return x
            case Tap():
                if training:
                    self.emit(node.head, x, shape, training)
                return x
            case Concat():
                parts = [self.emit(branch, x, shape, training) for branch in node.branches]
                return parts[0] if len(parts) == 1 else self.write(parts, node.output_shape(shape).size)
            case Residual():
                body = self.emit(node.body, x, shape, training)
                shortcut = self.emit(node.shortcut, x, shape, training)
                if body == x:
                    return self.write([body, shortcut], node.output_shape(shape).size)
                self.operations.append(((body, shortcut), None))
                return body
        return self.write([x], node.output_shape(shape).size)

    def write(self, reads: list[int], size: int) -> int:
        output = self.tensor(size)
        self.operations.append((tuple(reads), output))
        return output

    def peak(self, x: int, output: int) -> int:
        """Return the largest sum of sizes alive at once."""
        last = {x: -1, output: len(self.operations)}
        for moment, (reads, _) in enumerate(self.operations):
            for tensor in reads:
                last[tensor] = max(last.get(tensor, -1), moment)
        alive, most = {x}, self.sizes[x]
        for moment, (_, written) in enumerate(self.operations):
            if written is not None:
                alive.add(written)
            most = max(most, sum(self.sizes[tensor] for tensor in alive))
            alive = {tensor for tensor in alive if last.get(tensor, -1) > moment}
        return most


def simulated(graph: Graph, *, training: bool = False) -> int:
    program = Program()
    x = program.tensor(graph.input.size)
    output = program.emit(graph.root, x, graph.input, training)
    return FLOAT_BYTES * program.peak(x, output)


@pytest.mark.parametrize("shape", [Shape(1, 8, 8), Shape(3, 16, 16), Shape(40, 5, 5)], ids=str)
def test_peak_of_random_architectures(quick_mapping: dict[str, Any], shape: Shape) -> None:
    space = parse_space(quick_mapping, shape, 10)
    generator = random.Random(shape.size)
    for _ in range(100):
        graph = lower(space.draw(generator))
        assert cost(graph).activation_bytes == simulated(graph)


@pytest.mark.parametrize("training", [False, True])
def test_peak_of_random_graphs(make_graph: Callable[..., Graph], training: bool) -> None:
    for seed in range(600):
        graph = make_graph(seed)
        assert cost(graph, training=training).activation_bytes == simulated(graph, training=training), seed


def grow(factor: int) -> Conv:
    return Conv(factor, (1, 1))


# On 2×1×1, elements alive at the worst moment, counted by hand.
BY_HAND: list[tuple[Node, int]] = [
    (Seq(()), 2),
    (Dropout(0.5), 2),
    (grow(5), 2 + 5),
    (Seq((grow(5), grow(3))), 5 + 3),
    (Conv(5, (1, 1), norm=Norm(), activation="relu"), 2 + 5),
    (Seq((Conv(5, (1, 1)), Norm(), Activation())), 5 + 5),
    (Concat((grow(3), grow(4))), 3 + 4 + 7),
    (Concat((grow(3), Identity())), 2 + 3 + 5),
    (Concat((Identity(), Identity())), 2 + 4),
    (Concat((grow(3),)), 2 + 3),
    (Concat((Concat((grow(3), grow(4))), grow(1))), 2 + 3 + 4 + 7),
    (Concat((grow(1), Concat((grow(3), grow(4))))), 1 + 7 + 8),
    (Concat((Seq((grow(9), grow(1))), grow(1))), 2 + 9 + 1),
    (Concat((grow(1), Seq((grow(9), grow(1))))), 2 + 1 + 9),
    (Residual(Seq((grow(5), grow(2)))), 2 + 5 + 2),
    (Residual(grow(6), grow(6)), 6 + 2 + 6),
    (Residual(Identity()), 2 + 2),
    (Residual(Identity(), grow(2)), 2 + 2 + 2),
    (Residual(Residual(Seq((grow(5), grow(2))))), 2 + 5 + 2),
    (Seq((grow(3), Tap(Linear(50), 0.3), grow(4))), 3 + 4),
    (Concat((Slice(0, 1), Scale(2.0))), 1 + 2 + 3),
    (Seq((conv(8, 1), Pool("max", (1, 1)))), 8 + 8),
]


@pytest.mark.parametrize(("node", "elements"), BY_HAND)
def test_peak_counted_by_hand(node: Node, elements: int) -> None:
    graph = Graph(node, Shape(2, 1, 1))
    assert cost(graph).activation_bytes == FLOAT_BYTES * elements == simulated(graph)


def test_a_tap_holds_its_input_while_its_head_trains() -> None:
    graph = Graph(Seq((grow(3), Tap(Seq((grow(50), grow(1))), 0.3), grow(4))), Shape(2, 1, 1))
    assert cost(graph, training=True).activation_bytes == FLOAT_BYTES * (3 + 50 + 1)
    assert cost(graph).activation_bytes == FLOAT_BYTES * 7
