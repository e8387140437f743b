from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_space.cost import MIB, cost, leaf_macs, leaf_params, measure, rows, training_bytes
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
    conv,
    walk,
)
from search_space.lowering import lower
from search_space.network import build
from search_space.space import parse_space

SHAPES = (Shape(1, 8, 8), Shape(3, 16, 16), Shape(3, 32, 32))


def counted(graph: Graph, *, training: bool = False) -> tuple[int, int]:
    """Return the parameters and MACs that torch counts on the built module."""
    network = build(graph).train(training)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.ones(2, *graph.input))
    flops = counter.get_total_flops()
    assert flops % 4 == 0  # two images, two operations a MAC
    return sum(p.numel() for p in network.parameters()), flops // 4


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_params_and_macs_of_random_architectures_are_torchs(quick_mapping: dict[str, Any], shape: Shape) -> None:
    space = parse_space(quick_mapping, shape, 10)
    generator = random.Random(shape.size)
    for _ in range(67):  # 201 in all
        graph = lower(space.draw(generator))
        ours = cost(graph)
        assert (ours.params, ours.macs) == counted(graph)


@pytest.mark.parametrize("training", [False, True])
def test_params_and_macs_of_random_graphs_are_torchs(make_graph: Callable[..., Graph], training: bool) -> None:
    for seed in range(60):
        graph = make_graph(seed)
        params, macs = counted(graph, training=training)
        assert cost(graph, training=training).macs == macs
        assert cost(graph, training=True).params == params  # a built module has its heads in evaluation mode too


EVERY_NODE: list[tuple[Node, int, int]] = [  # on 6×8×8
    (Conv(4, (3, 3)), 4 * 6 * 9, 4 * 6 * 9 * 36),
    (Conv(4, (3, 3), (2, 2), (1, 1), bias=True), 4 * 6 * 9 + 4, 4 * 6 * 9 * 16),
    (Conv(4, (1, 1), norm=Norm(), activation="relu"), 24 + 8, 24 * 64),
    (Conv(6, (5, 1), padding=(2, 0), groups=6), 30, 30 * 64),
    (Conv(4, (3, 3), padding=(1, 1), groups=2, norm=Norm("layer")), 4 * 3 * 9 + 8, 4 * 3 * 9 * 64),
    (Linear(7), 7 * 384 + 7, 7 * 384),
    (Linear(7, bias=False, activation="gelu"), 7 * 384, 7 * 384),
    (Norm(), 12, 0),
    (Norm("layer"), 12, 0),
    (Scale(0.1, learned=True), 6, 0),
    (Scale(0.1), 0, 0),
    (Activation("gelu"), 0, 0),
    (Pool("max", (3, 3), (2, 2), (1, 1)), 0, 0),
    (Pool("avg", (3, 3), (2, 2), ceil=True), 0, 0),
    (GlobalPool("max", (2, 2)), 0, 0),
    (Slice(1, 5), 0, 0),
    (LRN(), 0, 0),
    (Dropout(0.5), 0, 0),
    (Identity(), 0, 0),
    (Seq(()), 0, 0),
    (Concat((Conv(2, (1, 1)), Conv(3, (1, 1)))), 30, 30 * 64),
    (Residual(Conv(4, (1, 1)), Conv(4, (1, 1))), 48, 48 * 64),
]


@pytest.mark.parametrize(("node", "params", "macs"), EVERY_NODE)
def test_cost_of_every_node_type(node: Node, params: int, macs: int) -> None:
    graph = Graph(node, Shape(6, 8, 8))
    assert (cost(graph).params, cost(graph).macs) == (params, macs) == counted(graph)


def test_auxiliary_heads_cost_only_while_training() -> None:
    tap = Tap(Seq((GlobalPool(), Linear(10))), 0.3)
    graph = Graph(Seq((conv(4, 1), tap, GlobalPool(), Linear(10))), Shape(3, 8, 8))
    plain = Graph(Seq((conv(4, 1), GlobalPool(), Linear(10))), Shape(3, 8, 8))
    assert cost(graph) == cost(plain)
    assert cost(graph, training=True).params == cost(plain).params + 50
    assert cost(graph, training=True).macs == cost(plain).macs + 40


# GoogLeNet's blocks (Szegedy et al. 2015, table 1): side, input channels, widths, then weights and MACs without biases
# and norms, with 5×5 convolutions as in the paper and with 3×3 ones in their place as in torchvision.
GOOGLENET = [
    ("3a", 28, 192, (64, 96, 128, 16, 32, 32), (163_328, 128_049_152), (155_136, 121_626_624)),
    ("3b", 28, 256, (128, 128, 192, 32, 96, 64), (388_096, 304_267_264), (338_944, 265_732_096)),
    ("4a", 14, 480, (192, 96, 208, 16, 48, 64), (375_552, 73_608_192), (363_264, 71_199_744)),
    ("4b", 14, 512, (160, 112, 224, 24, 64, 64), (448_512, 87_908_352), (423_936, 83_091_456)),
    ("4c", 14, 512, (128, 128, 256, 24, 64, 64), (509_440, 99_850_240), (484_864, 95_033_344)),
    ("4d", 14, 512, (112, 144, 288, 32, 64, 64), (604_672, 118_515_712), (571_904, 112_093_184)),
    ("4e", 14, 528, (256, 160, 320, 32, 128, 128), (867_328, 169_996_288), (801_792, 157_151_232)),
    ("5a", 7, 832, (256, 160, 320, 32, 128, 128), (1_042_432, 51_079_168), (976_896, 47_867_904)),
    ("5b", 7, 832, (384, 192, 384, 48, 128, 128), (1_442_816, 70_697_984), (1_344_512, 65_881_088)),
]


def plain(channels: int, side: int) -> Conv:
    return Conv(channels, (side, side), padding=(side // 2, side // 2))


@pytest.mark.parametrize("row", GOOGLENET, ids=lambda row: row[0])
@pytest.mark.parametrize("side", [5, 3])
def test_googlenets_blocks(row: tuple[Any, ...], side: int) -> None:
    _, extent, channels, widths, *golden = row
    k1, reduce3, k3, reduce5, k5, project = widths
    branches = (
        plain(k1, 1),
        Seq((plain(reduce3, 1), plain(k3, 3))),
        Seq((plain(reduce5, 1), plain(k5, side))),
        Seq((Pool("max", (3, 3), padding=(1, 1)), plain(project, 1))),
    )
    measured = cost(Graph(Concat(branches), Shape(channels, extent, extent)))
    assert (measured.params, measured.macs) == golden[0 if side == 5 else 1]


def test_rows_sum_to_the_total(make_graph: Callable[..., Graph], quick_mapping: dict[str, Any]) -> None:
    space = parse_space(quick_mapping, Shape(3, 16, 16), 10)
    graphs = [lower(space.draw(random.Random(seed))) for seed in range(20)] + [make_graph(seed) for seed in range(40)]
    for graph in graphs:
        table = rows(graph)
        assert sum(row.params for row in table) == cost(graph).params
        assert sum(row.macs for row in table) == cost(graph).macs
        assert table[-1].output == graph.output
        assert len({row.path for row in table}) == len(table)


def test_rows_are_the_blocks_by_path() -> None:
    block = Concat((conv(4, 1), conv(4, 3)), name="block0")
    root = Seq((conv(4, 3, name="stem"), Seq((block,), name="stage0"), Linear(2, name="classifier")))
    table = rows(Graph(root, Shape(1, 8, 8)))
    assert [row.path for row in table] == ["stem", "stage0.block0", "classifier"]
    assert table[1].params == 16 + 8 + 144 + 8
    assert table[1].output == Shape(8, 8, 8)
    assert [row.path for row in rows(Graph(Linear(2), Shape(1, 2, 2)))] == [""]


def test_leaf_costs_add_up_to_the_network(make_graph: Callable[..., Graph]) -> None:
    for seed in range(20):
        graph = make_graph(seed)
        assert cost(graph).params == sum(leaf_params(v.leaf, v.input) for v in walk(graph))
        assert cost(graph).macs == sum(leaf_macs(v.leaf, v.input) for v in walk(graph))


def test_memory_in_mib() -> None:
    graph = Graph(Conv(512, (1, 1)), Shape(512, 16, 16))
    assert cost(graph).activation_bytes == 2 * 512 * 256 * 4 == MIB
    assert cost(graph).memory_mib == 1.0


def step_bytes(graph: Graph, batch_size: int) -> int:
    """Return the bytes of the distinct storages alive at the start of the backward pass of SGD with momentum."""
    network = build(graph).train()
    storages: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)  # its address must not be used again
        return tensor

    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = network(torch.randn(batch_size, *graph.input, requires_grad=False))
    logits = output[0] if isinstance(output, tuple) else output
    note(logits)
    state = [*network.parameters(), *network.buffers()]
    for tensor in state:
        note(tensor)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return sum(storages.values()) + 2 * weights  # gradients and momentum


RATIO = 3.0  # measured on the shipped space: 1.37 to 2.29


@pytest.mark.parametrize("batch_size", [1, 16])
def test_training_bytes_bound_what_autograd_keeps(quick_mapping: dict[str, Any], batch_size: int) -> None:
    space = parse_space(quick_mapping, Shape(3, 16, 16), 10)
    ratios = []
    for seed in range(25):
        graph = lower(space.draw(random.Random(seed)))
        ratios.append(training_bytes(graph, batch_size) / step_bytes(graph, batch_size))
    assert min(ratios) >= 1
    assert max(ratios) < RATIO


@pytest.mark.parametrize("batch_size", [2, 5])
def test_training_bytes_bound_every_node_type(make_graph: Callable[..., Graph], batch_size: int) -> None:
    for seed in range(60):
        graph = make_graph(seed)
        assert step_bytes(graph, batch_size) <= training_bytes(graph, batch_size)
    for node, _, _ in EVERY_NODE:
        for shape in (Shape(6, 8, 8), Shape(6, 3, 3)):
            chain = Graph(Seq((node, Linear(3))), shape)
            assert step_bytes(chain, batch_size) <= training_bytes(chain, batch_size)
    thin = Graph(Seq((*[conv(2, 1) for _ in range(30)], Linear(2))), Shape(1, 1, 2))
    assert step_bytes(thin, 2) <= training_bytes(thin, 2)


# On 6×8×8: values that a training step writes for one image beside the input, of 4 bytes each, and the batch norms'
# channels; the indices of max pooling take 8 bytes.
WRITTEN: list[tuple[Node, int, int]] = [
    (Conv(4, (3, 3)), 4 * 36, 0),
    (Conv(4, (1, 1), norm=Norm(), activation="relu"), 3 * 4 * 64, 4),
    (Conv(4, (1, 1), norm=Norm("layer")), 4 * 64 + 2 * 4 * 64 + 2 * 64, 0),
    (Conv(4, (1, 1), activation="relu"), 2 * 4 * 64, 0),
    (Norm(), 384, 6),
    (Norm("layer"), 2 * 384 + 2 * 64, 0),
    (Linear(7), 384 + 7, 0),
    (Linear(7, activation="gelu"), 384 + 2 * 7, 0),
    (Pool("max", (2, 2), (2, 2)), 3 * 96, 0),
    (Pool("avg", (2, 2), (2, 2)), 2 * 96, 0),
    (GlobalPool("max", (2, 2)), 3 * 24, 0),
    (GlobalPool(), 2 * 6, 0),
    (LRN(5), 4 * 384 + 4 * 64, 0),
    (Identity(), 0, 0),
    (Dropout(0.5), 2 * 384, 0),
    (Slice(1, 5), 2 * 4 * 64, 0),
    (Concat((Conv(2, (1, 1)), Conv(3, (1, 1)))), 2 * 64 + 3 * 64 + 5 * 64, 0),
    (Residual(Conv(6, (1, 1))), 384 + 384, 0),
    (Residual(Conv(6, (1, 1)), activation="relu"), 384 + 2 * 384, 0),
    (Seq((Conv(2, (1, 1)), Concat((Identity(), Identity())))), 2 * 64 + 4 * 64, 0),
    (Tap(Conv(2, (1, 1)), 0.3), 2 * 64, 0),
]


@pytest.mark.parametrize(("node", "values", "normed"), WRITTEN)
def test_training_bytes_counted_by_hand(node: Node, values: int, normed: int) -> None:
    graph = Graph(node, Shape(6, 8, 8))
    whole = cost(graph, training=True)
    weights = 4 * 3 * whole.params + (16 * normed + 8 if normed else 0)  # with gradient and momentum
    assert training_bytes(graph, 0) == weights
    assert training_bytes(graph, 3) == weights + 3 * (4 * (384 + values) + 2 * whole.activation_bytes)


def test_the_cost_of_a_part_whose_input_is_read_again() -> None:
    chain = Seq((Conv(5, (1, 1)), Conv(3, (1, 1))))
    assert measure(chain, Shape(2, 1, 1)).peak == 5 + 3
    assert measure(chain, Shape(2, 1, 1), keep=True).peak == 2 + 5 + 3
    assert [measure(node, Shape(2, 1, 1)).alias for node in (Seq((Identity(),)), chain)] == [True, False]


def test_training_bytes_grow_with_batch_optimizer_and_averaging() -> None:
    graph = Graph(Seq((conv(4, 3), Linear(2))), Shape(1, 8, 8))
    weights = 4 * cost(graph).params
    plain = training_bytes(graph, 8)
    assert training_bytes(graph, 8, optimizer_slots=2) == plain + weights
    assert training_bytes(graph, 8, ema=True) == plain + weights
    image = training_bytes(graph, 9) - plain
    assert training_bytes(graph, 16) == plain + 8 * image
