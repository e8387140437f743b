"""Estimate of a training step's memory against the storages alive in one, and tapes counted by hand."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from search_space.cost import FLOAT_BYTES, MIB, cost, training_bytes
from search_space.eager import filters_mib
from search_space.graph import Concat, Conv, Graph, Linear, Node, Pool, Residual, Seq, Shape, Tap, conv
from search_space.lowering import lower
from search_space.network import build
from search_space.space import parse_space
from search_space.step_memory import backward_peak, step_mib, tape_of


class Storages(TorchDispatchMode):
    """Bytes of all storages alive, in the forward and the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.drop, key, size)

    def drop(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self.add(tensor)
        return made


def alive(graph: Graph, batch_size: int) -> float:
    """Return the largest memory of the storages alive in a step of SGD with momentum, in MiB."""
    network, images = build(graph).train(), torch.randn(batch_size, *graph.input)
    weights = sum(parameter.untyped_storage().nbytes() for parameter in network.parameters())
    buffers = sum(buffer.untyped_storage().nbytes() for buffer in network.buffers())
    with Storages() as storages:
        storages.add(images)
        found = network(images)
        logits, auxiliary = found if isinstance(found, tuple) else (found, [])
        labels = torch.zeros(batch_size, dtype=torch.int64)
        loss = functional.cross_entropy(logits, labels)
        for given, weight in auxiliary:
            loss = loss + weight * functional.cross_entropy(given, labels)
        loss.backward()
    return float(storages.peak + 2 * weights + buffers) / MIB


@pytest.fixture
def no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count no parts of gradients, which are no storages of torch's tensors."""
    monkeypatch.setattr("search_space.step_memory.PARTS", 0)


@pytest.mark.usefixtures("no_parts")
@pytest.mark.parametrize("shape", [Shape(3, 16, 16), Shape(1, 8, 8)], ids=str)
def test_the_estimate_is_what_a_step_of_random_networks_holds(quick_mapping: dict[str, Any], shape: Shape) -> None:
    space = parse_space(quick_mapping, shape, 10)
    for seed in range(6):
        graph = lower(space.draw(random.Random(seed)))
        held = alive(graph, 16)
        estimate = step_mib(graph, 16) - 2 * filters_mib(graph)
        assert estimate == pytest.approx(held, rel=0.15)
        assert estimate <= training_bytes(graph, 16) / MIB


@pytest.mark.usefixtures("no_parts")
def test_the_estimate_is_close_for_every_node_type(make_graph: Callable[..., Graph]) -> None:
    for seed in range(25):
        graph = make_graph(seed)
        assert step_mib(graph, 32) - 2 * filters_mib(graph) == pytest.approx(alive(graph, 32), rel=0.25), seed


@pytest.mark.parametrize(
    ("kernel", "side", "parts"), [((7, 7), 1, 256), ((1, 7), 4, 256), ((7, 1), 4, 0), ((3, 3), 4, 0), ((3, 3), 2, 256)]
)
def test_gradients_of_depthwise_filters_are_summed_in_parts(kernel: tuple[int, int], side: int, parts: int) -> None:
    graph = Graph(Seq((conv(6, kernel, groups=6, name="deep"),)), Shape(6, side, side))
    works = [operation.work for operation in tape_of(graph).operations]
    assert max(works) == parts * 6 * kernel[0] * kernel[1]


# On 2×1×1, values alive at the worst moment of the backward pass, counted by hand.
BY_HAND: list[tuple[Node, int]] = [
    (Linear(3), 2 + 3 + 9),  # images, gradient of the logits, and of the parameters
    (
        Seq((Conv(4, (1, 1)), Linear(3))),
        2 + 4 + 15 + 8,
    ),  # the convolution's own turn, when the logits' gradient is gone
    (Concat((Conv(2, (1, 1)), Conv(3, (1, 1)))), 2 + 5 + 6 + 4),  # branches see parts of one gradient
    (Residual(Conv(2, (1, 1))), 2 + 2 + 4),  # the sum's gradient is the convolution's
    (Seq((Conv(4, (1, 1)), Pool("max", (1, 1)))), 2 + 4 + 4 + 4 + 8),  # images, kept, indices of two words, gradients
]


@pytest.mark.parametrize(("node", "values"), BY_HAND)
def test_the_backward_pass_counted_by_hand(node: Node, values: int) -> None:
    assert backward_peak(tape_of(Graph(node, Shape(2, 1, 1))), 1) == values


def test_the_estimate_grows_with_batch_optimizer_averaging_and_heads() -> None:
    graph = Graph(Seq((conv(4, 3), Linear(2))), Shape(1, 8, 8))
    weights = FLOAT_BYTES * cost(graph).params / MIB
    plain = step_mib(graph, 8)
    assert step_mib(graph, 8, optimizer_slots=2) == pytest.approx(plain + weights)
    assert step_mib(graph, 8, ema=True) == pytest.approx(plain + weights)
    assert step_mib(graph, 16) > plain
    tapped = Graph(Seq((conv(4, 3), Tap(Linear(2), 0.3), Linear(2))), Shape(1, 8, 8))
    assert step_mib(tapped, 8) > plain
