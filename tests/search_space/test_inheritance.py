"""Inheritance of a parent's weights, channel by channel."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Concat, Conv, GlobalPool, Graph, Identity, Linear, Node, Norm, Residual, Seq, Shape, conv
from search_space.inheritance import Inherited, inherit
from search_space.lowering import lower
from search_space.network import Network, build
from search_space.space import parse_space

IMAGE = Shape(3, 8, 8)


def network_of(graph: Graph, seed: int) -> Network:
    """Return a network whose statistics are not the initial ones."""
    torch.manual_seed(seed)
    network = build(graph)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(16, *graph.input))
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return network.eval()


def child_of(parent: Network, before: Graph, after: Graph) -> tuple[Network, Inherited]:
    torch.manual_seed(99)
    child = build(after)
    fresh = {key: tensor.clone() for key, tensor in child.state_dict().items()}
    inherited = inherit(before, parent.state_dict(), after, fresh)
    assert all(torch.equal(fresh[key], tensor) for key, tensor in child.state_dict().items())
    child.load_state_dict(inherited.state)
    return child.eval(), inherited


def outputs(network: Network, graph: Graph) -> Tensor:
    torch.manual_seed(5)
    with torch.no_grad():
        logits = network(torch.randn(4, *graph.input))
    assert isinstance(logits, Tensor)
    return logits


def architecture(*blocks: Block, stem: Stem = Stem(8)) -> Architecture:  # noqa: B008 - a frozen value
    return Architecture(IMAGE, 10, stem, (Stage(blocks),), 0.0)


def block(**widths: int) -> Block:
    return Block("inception", tuple(Branch(name, width) for name, width in widths.items()))


SECOND = block(k1=4, k3=6)


@pytest.mark.parametrize("seed", range(40))
def test_the_same_network_has_the_same_weights_and_outputs(make_graph: Any, seed: int) -> None:
    graph = make_graph(seed)
    torch.manual_seed(seed)
    parent = build(graph).eval()
    child, inherited = child_of(parent, graph, graph)
    assert inherited.share == 1.0 or not list(parent.parameters())
    for key, tensor in parent.state_dict().items():
        assert torch.equal(tensor, inherited.state[key]), key
    assert torch.equal(outputs(parent, graph), outputs(child, graph))


@pytest.mark.parametrize("name", ["k1", "k3", "pool"])
def test_a_network_that_is_only_wider_computes_what_its_parent_does(name: str) -> None:
    widths = {"k1": 4, "k3": 6, "pool": 5}
    before = lower(architecture(block(**widths), SECOND))
    after = lower(architecture(block(**{**widths, name: 9}), SECOND))
    parent = network_of(before, 1)
    child, inherited = child_of(parent, before, after)
    torch.testing.assert_close(outputs(child, after), outputs(parent, before))
    count = sum(parameter.numel() for parameter in parent.parameters())
    assert inherited.share == count / sum(parameter.numel() for parameter in child.parameters())


def test_a_wider_stem_and_a_larger_kernel_keep_the_outputs() -> None:
    before = lower(architecture(SECOND, stem=Stem(8, 3)))
    after = lower(architecture(SECOND, stem=Stem(12, 5)))
    parent = network_of(before, 2)
    child, _ = child_of(parent, before, after)
    torch.testing.assert_close(outputs(child, after), outputs(parent, before))


def test_a_branch_that_is_gone_takes_its_own_input_channels_with_it() -> None:
    before = lower(architecture(block(k1=4, k3=6, pool=5), SECOND))
    after = lower(architecture(block(k1=4, pool=5), SECOND))
    parent = network_of(before, 3)
    old, (child, inherited) = parent.state_dict(), child_of(parent, before, after)
    assert inherited.share == 1.0
    for branch in ("k1", "k3"):
        key = f"body.stage0.block1.{branch}.conv.conv.weight"
        kept = torch.cat([old[key][:, :4], old[key][:, 10:]], dim=1)  # k3's channels stood between
        assert torch.equal(inherited.state[key], kept)
        old[key][:, 4:10] = 0
    torch.testing.assert_close(outputs(child, after), outputs(parent, before))  # the parent no longer reads k3


def test_a_branch_that_is_new_is_fresh_and_not_read_at_first() -> None:
    before = lower(architecture(block(k1=4, pool=5), SECOND))
    after = lower(architecture(block(k1=4, k3=6, pool=5), SECOND))
    parent = network_of(before, 4)
    child, inherited = child_of(parent, before, after)
    torch.testing.assert_close(outputs(child, after), outputs(parent, before))
    assert inherited.state["body.stage0.block0.k3.conv.conv.weight"].std() > 0.05


def test_a_layer_behind_a_new_block_learns_anew_and_the_ones_behind_it_go_on() -> None:
    before, after = lower(architecture(SECOND)), lower(architecture(SECOND, block(k1=8)))
    parent = network_of(before, 6)
    torch.manual_seed(99)
    fresh = build(after).state_dict()
    _, inherited = child_of(parent, before, after)
    assert torch.equal(inherited.state["body.classifier.weight"], fresh["body.classifier.weight"])
    assert torch.equal(inherited.state["body.stem.conv.weight"], parent.state_dict()["body.stem.conv.weight"])
    assert 0 < inherited.share < 1


def test_channels_behind_a_residual_stay_where_its_shortcut_has_them() -> None:
    def graph(k1: int) -> Graph:
        first = Concat((conv(k1, 1, name="k1"), conv(4, 3, name="k3")), name="first")
        body = Seq((conv(3, 1, name="reduce"), conv(k1 + 4, 3, activation=None, name="expand")))
        residual = Residual(body, Identity(), name="second")
        return Graph(Seq((first, residual, GlobalPool(), Linear(5, name="classifier"))), IMAGE)

    parent = network_of(graph(4), 7)
    child, _ = child_of(parent, graph(4), graph(6))
    old, new = parent.state_dict(), child.state_dict()
    places = [0, 1, 2, 3, 6, 7, 8, 9]  # of the parent's eight channels in the child
    assert torch.equal(new["body.classifier.weight"][:, places], old["body.classifier.weight"])
    assert torch.equal(new["body.second.body.expand.conv.weight"][places], old["body.second.body.expand.conv.weight"])
    assert not new["body.classifier.weight"][:, [4, 5]].any()


def test_depthwise_filters_go_with_their_channels() -> None:
    def graph(k1: int) -> Graph:
        first = Concat((conv(k1, 1, name="k1"), conv(4, 3, name="k3")), name="first")
        depthwise = Conv(k1 + 4, (3, 3), padding=(1, 1), groups=k1 + 4, norm=Norm(), name="depthwise")
        return Graph(Seq((first, depthwise, GlobalPool(), Linear(5, name="classifier"))), IMAGE)

    parent = network_of(graph(4), 8)
    child, _ = child_of(parent, graph(4), graph(6))
    torch.testing.assert_close(outputs(child, graph(6)), outputs(parent, graph(4)))


def test_groups_keep_the_connections_that_both_have() -> None:
    def graph(groups: int) -> Graph:
        nodes: tuple[Node, ...] = (conv(4, 1, name="stem"), conv(6, 3, groups=groups, name="conv"), GlobalPool())
        return Graph(Seq((*nodes, Linear(5, name="classifier"))), IMAGE)

    key = "body.conv.conv.weight"
    parent = network_of(graph(1), 9)
    _, inherited = child_of(parent, graph(1), graph(2))
    old = parent.state_dict()[key]
    assert torch.equal(inherited.state[key], torch.cat([old[:3, :2], old[3:, 2:]]))
    grouped = network_of(graph(2), 10)
    _, inherited = child_of(grouped, graph(2), graph(1))
    old, new = grouped.state_dict()[key], inherited.state[key]
    assert torch.equal(new[:3, :2], old[:3])
    assert torch.equal(new[3:, 2:], old[3:])
    assert not new[:3, 2:].any()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_any_two_networks_of_a_space_go_together(quick_mapping: Mapping[str, Any], seed: int) -> None:
    generator = random.Random(seed)
    space = parse_space(quick_mapping, IMAGE, 10)
    one = space.draw(generator)
    other = space.mutate(one, generator) if seed % 2 else space.draw(generator)
    before, after = lower(one), lower(other)
    parent = network_of(before, seed % 1000)
    child, inherited = child_of(parent, before, after)
    assert 0 <= inherited.share <= 1
    assert outputs(child, after).isfinite().all()


@pytest.mark.parametrize("seed", range(30))
def test_any_two_graphs_go_together(make_graph: Any, seed: int) -> None:
    before, after = make_graph(seed), make_graph(seed + 1000)
    torch.manual_seed(seed)
    child, inherited = child_of(build(before), before, after)
    assert 0 <= inherited.share <= 1
    assert {key: tensor.shape for key, tensor in child.state_dict().items()} == {
        key: tensor.shape for key, tensor in inherited.state.items()
    }


def test_its_statistics_are_the_parents_too() -> None:
    before = lower(architecture(SECOND))
    parent = network_of(before, 11)
    after = lower(replace(architecture(SECOND), stages=(Stage((block(k1=4, k3=8),)),)))
    _, inherited = child_of(parent, before, after)
    key = "body.stage0.block0.k3.conv.norm.running_var"
    assert torch.equal(inherited.state[key][:6], parent.state_dict()[key])
    assert torch.equal(inherited.state[key][6:], torch.ones(2))
