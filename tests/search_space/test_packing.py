from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from search_space.graph import Dropout, GlobalPool, Graph, Linear, Seq, Shape
from search_space.lowering import lower
from search_space.network import Network, build
from search_space.packable import is_packable
from search_space.packing import PackedNetwork, join, member, pack_images
from search_space.references import REFERENCES
from search_space.space import parse_space

CLASSES = 5


def networks(graph: Graph, count: int = 3) -> list[Network]:
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        found.append(build(graph).double())
    return found


def outputs_alone(alone: list[Network], images: list[Tensor]) -> list[Any]:
    outputs = []
    for seed, (network, some) in enumerate(zip(alone, images, strict=True)):
        torch.manual_seed(seed)
        # Channels last, as in a training: the numbers of dropout are drawn in the order of memory.
        outputs.append(network(some.contiguous(memory_format=torch.channels_last)))
    return outputs


def check(graph: Graph, batch: int = 4) -> None:
    """Compare logits, gradients and running statistics of a pack with those of its members alone."""
    alone = networks(graph)
    pack = PackedNetwork(alone)
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(batch, *graph.input, generator=generator, dtype=torch.float64) for _ in alone]
    for module in (pack, *alone):
        module.train()
    pack.seed(range(3))
    output, expected = pack(pack_images(images)), outputs_alone(alone, images)
    squared_sum(output).backward()
    for index, network in enumerate(alone):
        theirs = expected[index]
        torch.testing.assert_close(logits_of(output)[:, index], logits_of(theirs), rtol=1e-7, atol=1e-9)
        squared_sum(theirs).backward()
        packed_gradients = {name: p.grad for name, p in pack.named_parameters() if p.grad is not None}
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        torch.testing.assert_close(member(packed_gradients, index, 3), gradients, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(
            member(pack.state_dict(), index, 3), dict(network.state_dict()), rtol=1e-7, atol=1e-9
        )
    for module in (pack, *alone):
        module.eval()
    tested = pack(pack_images(images))
    for index, theirs in enumerate(outputs_alone(alone, images)):
        torch.testing.assert_close(tested[:, index], theirs, rtol=1e-7, atol=1e-9)


def logits_of(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def squared_sum(output: Any) -> Tensor:
    total = logits_of(output).square().sum()
    for head, weight in heads_of(output):
        total = total + weight * head.square().sum()
    return total


def heads_of(output: Any) -> list[tuple[Tensor, float]]:
    return [] if isinstance(output, Tensor) else output[1]


@pytest.mark.parametrize("seed", range(6))
def test_a_pack_of_random_networks_is_its_members(quick_mapping: dict[str, Any], seed: int) -> None:
    space = parse_space(quick_mapping, Shape(3, 16, 16), CLASSES)
    check(lower(space.draw(random.Random(seed))))


@pytest.mark.parametrize("seed", range(40))
def test_a_pack_of_any_graph_is_its_members(make_graph: Callable[..., Graph], seed: int) -> None:
    graph = make_graph(seed)
    if is_packable(graph):
        check(graph)


def test_dropout_of_a_member_is_that_of_its_network_alone() -> None:
    check(Graph(Seq((GlobalPool(), Dropout(0.5), Linear(32), Dropout(0.25), Linear(CLASSES))), Shape(2, 4, 4)))


def test_states_and_members_are_inverse(make_graph: Callable[..., Graph]) -> None:
    alone = networks(make_graph(3))
    states = [network.state_dict() for network in alone]
    joined = join(states)
    for index, state in enumerate(states):
        torch.testing.assert_close(member(joined, index, 3), dict(state), rtol=0, atol=0)


def test_a_pack_is_of_one_graph(make_graph: Callable[..., Graph]) -> None:
    with pytest.raises(ValueError, match="all of one graph, got 2"):
        PackedNetwork([build(make_graph(1)), build(make_graph(2))])
    with pytest.raises(ValueError, match="at least 1 network"):
        PackedNetwork([])


def test_a_copy_of_a_pack_scores_like_it(make_graph: Callable[..., Graph]) -> None:
    graph = make_graph(5)
    pack = PackedNetwork(networks(graph)).eval()
    images = torch.randn(2, 3 * graph.input.channels, *graph.input[1:], dtype=torch.float64)
    assert torch.equal(copy.deepcopy(pack)(images), pack(images))


@pytest.mark.parametrize("name", ["googlenet", "inception_v4", "inception_next_atto", "xception", "googlenet_paper"])
def test_published_networks_can_be_packed(name: str) -> None:
    assert is_packable(REFERENCES[name]())


def test_dropout_over_several_cells_cannot_be_packed() -> None:
    before, after = (Seq((*nodes, Linear(3))) for nodes in ((Dropout(0.1), GlobalPool()), (GlobalPool(), Dropout(0.1))))
    assert not is_packable(Graph(before, Shape(2, 3, 3)))
    assert is_packable(Graph(after, Shape(2, 3, 3)))
    assert is_packable(Graph(Seq((Dropout(0.0), Linear(3))), Shape(2, 3, 3)))
