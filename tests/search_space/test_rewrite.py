"""Rewrites: the result of each on a block, and equal outputs after merge and fold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from search_space.blocks.naive import Naive
from search_space.blocks.units import Units
from search_space.blocks.v1 import V1
from search_space.cost import cost
from search_space.graph import Concat, Conv, Graph, Identity, Norm, Pool, Residual, Scale, Seq, Shape, Tap, conv, walk
from search_space.identity import network_id
from search_space.network import Network, build
from search_space.receptive import receptive_field
from search_space.references import REFERENCES
from search_space.rewrite import KEEPING, RULES, RewriteError, Rewritten, rewrite
from search_space.weights import WeightsError, transfer

INPUT = Shape(8, 12, 12)


def single(kernel: int, channels: int = 16) -> Graph:
    return Graph(Seq((conv(channels, kernel, name="conv"),)), INPUT)


def shaken(network: Network, seed: int = 0) -> Network:
    """Return the network with statistics, scales and shifts that are not the initial ones, in evaluation mode."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_()
    return network.eval()


def distance(before: Network, after: Network, shape: Shape) -> float:
    images = torch.randn(2, *shape)  # (N, C, H, W)
    with torch.no_grad():
        expected, got = before(images), after(images)
    assert isinstance(expected, Tensor)
    assert isinstance(got, Tensor)
    largest = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)  # a narrow block may answer with zeros
    return float((expected - got).abs().max() / largest)


@pytest.mark.parametrize(("side", "links"), [(5, 2), (7, 3), (9, 4)])
def test_stack_keeps_the_receptive_field_and_saves_weights(side: int, links: int) -> None:
    done = rewrite(single(side, 8), "stack")
    assert done.before.receptive_field == done.after.receptive_field == (side, side)
    weights = [v.leaf.kernel for v in walk(done.graph) if isinstance(v.leaf, Conv)]
    assert weights == [(3, 3)] * links
    # 8 filters of 8 channels, and 2 parameters of norm a filter and convolution
    assert done.before.cost.params == 64 * side**2 + 16
    assert done.after.cost.params == links * (64 * 9 + 16)


@pytest.mark.parametrize("side", [3, 5, 7])
def test_factorize_keeps_the_receptive_field_and_costs_2n(side: int) -> None:
    done = rewrite(single(side, 8), "factorize")
    assert done.before.receptive_field == done.after.receptive_field == (side, side)
    assert done.after.cost.params == 2 * (64 * side + 16)
    assert done.after.cost.macs == 2 * 64 * side * 144


@pytest.mark.parametrize("side", [3, 7])
def test_expand_sees_as_far_with_half_the_width_each(side: int) -> None:
    done = rewrite(single(side, 9), "expand")
    assert done.graph.output == Shape(9, 12, 12)
    assert done.after.receptive_field == (side, side)
    assert sorted(v.leaf.channels for v in walk(done.graph) if isinstance(v.leaf, Conv)) == [4, 5]
    assert done.after.cost.params == 9 * 8 * side + 18


def test_separate_splits_space_from_channels() -> None:
    done = rewrite(single(5), "separate")
    assert done.after.cost.params == 8 * 25 + 8 * 16 + 32
    assert done.after.receptive_field == (5, 5)


def test_reduce_makes_the_naive_block_the_reduced_one() -> None:
    naive = Graph(Naive(16, 32, 8).lower(8, Units(), "block"), INPUT)
    reduced = Graph(V1(16, 16, 32, 4, 8, 4).lower(8, Units(), "block"), INPUT)
    done = rewrite(naive, "reduce")
    assert network_id(done.graph) == network_id(reduced)
    assert done.at == ("",)
    assert set(done.sources) == {"k1"}


def test_reduce_takes_a_ratio() -> None:
    naive = Graph(Naive(16, 32, 8).lower(8, Units(), "block"), INPUT)
    reduced = Graph(V1(16, 8, 32, 2, 8, 2).lower(8, Units(), "block"), INPUT)
    assert network_id(rewrite(naive, "reduce", ratio=0.25).graph) == network_id(reduced)


def test_only_what_lies_within_a_path_is_rewritten() -> None:
    done = rewrite(REFERENCES["googlenet_5x5"](), "stack", within="inception3a")
    assert done.at == ("inception3a.k5.conv",)
    with pytest.raises(RewriteError, match=r"stack must fit somewhere, it fits nowhere below inception3a\.k1"):
        rewrite(REFERENCES["googlenet_5x5"](), "stack", within="inception3a.k1")


def test_stacking_googlenet_replaces_the_5x5_of_its_nine_blocks_and_saves_nothing() -> None:
    done = rewrite(REFERENCES["googlenet_5x5"](auxiliaries=False), "stack")
    assert len(done.at) == 9
    # from c channels to 2c or more, as in all nine blocks, two 3×3 cost more than one 5×5
    assert done.after.cost.macs - done.before.cost.macs == 57_050_112
    assert done.before.receptive_field == done.after.receptive_field


def test_auxiliary_heads_are_rewritten_too() -> None:
    done = rewrite(REFERENCES["inception_v3"](), "fold")
    assert "aux.head.conv0" in done.at
    assert cost(done.graph, training=True).params < cost(REFERENCES["inception_v3"](), training=True).params


@pytest.mark.parametrize(
    ("graph", "rule"),
    [
        (Graph(Conv(4, (3, 3), (2, 2), (1, 1)), INPUT), "factorize"),
        (Graph(Conv(4, (4, 4)), INPUT), "stack"),
        (Graph(Conv(8, (3, 3), groups=8), INPUT), "separate"),
        (Graph(Conv(1, (3, 3)), INPUT), "expand"),
        (Graph(Conv(8, (3, 3), norm=Norm("layer")), INPUT), "fold"),
        (Graph(Concat((conv(4, 1), Pool("max", (3, 3), padding=(1, 1)), conv(4, 1))), INPUT), "merge"),
        (Graph(Concat((conv(4, 1), conv(4, 1, activation=None))), INPUT), "merge"),
        (Graph(Concat((Conv(4, (1, 1), norm=Norm("layer")),) * 2), INPUT), "merge"),
        (Graph(Concat((conv(4, 1), Seq((conv(4, 1), conv(4, 3))))), INPUT), "reduce"),
    ],
)
def test_a_rule_leaves_alone_what_it_does_not_fit(graph: Graph, rule: str) -> None:
    with pytest.raises(RewriteError, match=f"{rule} must fit somewhere"):
        rewrite(graph, rule)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(RewriteError, match=r"a rewrite must be one of .*'stack'.*, got 'shrink'"):
        rewrite(single(3), "shrink")
    with pytest.raises(RewriteError, match=r"ratio must lie in \(0, 1\], got 0"):
        rewrite(single(3), "reduce", ratio=0)


def test_merge_of_googlenet_s_block_leaves_one_shared_convolution_beside_the_pool_s() -> None:
    block = Graph(V1(16, 8, 32, 4, 8, 4).lower(8, Units(), "block"), INPUT)
    done = rewrite(block, "merge")
    ones = [v.leaf.channels for v in walk(done.graph) if isinstance(v.leaf, Conv) and v.leaf.kernel == (1, 1)]
    assert ones == [28, 4]
    assert done.before.cost.macs == done.after.cost.macs
    assert done.before.cost.params == done.after.cost.params
    assert done.before.receptive_field == done.after.receptive_field


@pytest.mark.parametrize("name", ["googlenet", "bn_inception", "inception_v3", "inception_resnet_v2"])
@pytest.mark.parametrize("rule", sorted(KEEPING))
def test_merge_and_fold_keep_the_outputs_of_published_networks(name: str, rule: str) -> None:
    shape = Shape(3, 96, 96)
    graph = REFERENCES[name](shape, 5)
    done = rewrite(graph, rule)
    assert done.keeps_outputs
    before = shaken(build(graph))
    assert distance(before, transfer(before, done), shape) < 1e-5


def test_merge_keeps_the_outputs_in_training_too() -> None:
    graph = Graph(V1(16, 8, 32, 4, 8, 4).lower(8, Units(), "block"), INPUT)
    before = shaken(build(graph)).train()
    after = transfer(before, rewrite(graph, "merge"))
    assert after.training
    assert distance(before, after, INPUT) < 1e-5


def blocks() -> st.SearchStrategy[Graph]:
    """Return small blocks of every kind of branch, named and unnamed, nested and residual."""
    widths = st.integers(1, 6)
    single_branch = st.one_of(
        st.builds(conv, widths, st.sampled_from([1, 1, 1, 3])),
        st.builds(lambda w, v: Seq((conv(w, 1), conv(v, 3))), widths, widths),
        st.builds(lambda w, v: Seq((conv(w, 1, name="reduce"), conv(v, 3, name="conv")), name="chain"), widths, widths),
        st.builds(lambda w: Conv(w, (1, 1), bias=True, norm=Norm(eps=1e-3)), widths),
        st.builds(lambda w: Conv(w, (1, 1), bias=True, activation="gelu"), widths),
        st.just(Pool("max", (3, 3), padding=(1, 1))),
    )
    plain = st.lists(single_branch, min_size=1, max_size=4, unique_by=lambda b: b.name or id(b)).map(
        lambda branches: Concat(tuple(branches))
    )
    nested = st.builds(lambda inner, other: Concat((Seq((conv(3, 1), inner)), other)), plain, single_branch)
    joined = st.builds(
        lambda inner: Residual(Seq((inner, conv(8, 1, activation=None), Scale(0.2))), Identity(), "relu"), plain
    )
    tapped = st.builds(lambda inner: Seq((Tap(Seq((conv(2, 1),)), 0.3), inner)), plain)
    return st.one_of(plain, nested, joined, tapped).map(lambda node: Graph(Seq((node, conv(4, 1))), Shape(8, 5, 5)))


def attempt(graph: Graph, rule: str) -> Rewritten | None:
    try:
        return rewrite(graph, rule)
    except RewriteError:
        return None


@settings(max_examples=60, deadline=None)
@given(blocks(), st.sampled_from(sorted(KEEPING)), st.integers(0, 3))
def test_merge_and_fold_keep_the_outputs_of_any_block(graph: Graph, rule: str, seed: int) -> None:
    done = attempt(graph, rule)
    if done is None:
        assert rule == "merge"  # a batch norm is always there to fold
        return
    before = shaken(build(graph), seed)
    assert distance(before, transfer(before, done), graph.input) < 1e-4
    assert done.graph.output == graph.output


@settings(max_examples=100, deadline=None)
@given(blocks(), st.sampled_from(sorted(RULES)))
def test_any_rule_keeps_the_shape_and_carries_what_it_leaves_alone(graph: Graph, rule: str) -> None:
    done = attempt(graph, rule)
    if done is None:
        return
    assert done.after.cost == cost(done.graph)
    assert done.after.receptive_field == done.before.receptive_field
    if rule == "reduce":  # gives a bare pool a projection, and so another width to what comes behind
        return
    assert done.graph.output == graph.output
    before = shaken(build(graph))
    after = transfer(before, done).state_dict()
    copied = [(key, source) for key, source in done.sources.items() if source.how == "copy"]
    old = before.state_dict()
    for key, source in copied:
        for name, tensor in old.items():
            prefix = f"body.{source.paths[0]}."
            if name.startswith(prefix):
                assert torch.equal(after[f"body.{key}.{name.removeprefix(prefix)}"], tensor)


def test_another_network_s_weights_are_refused() -> None:
    block = Graph(V1(16, 8, 32, 4, 8, 4).lower(8, Units(), "block"), INPUT)
    other = Graph(V1(16, 8, 32, 4, 7, 4).lower(8, Units(), "block"), INPUT)
    with pytest.raises(WeightsError, match="must be the one that was rewritten"):
        transfer(build(other), rewrite(block, "merge"))


def test_a_field_counts_strides_and_joins_branches() -> None:
    graph = Graph(
        Seq((conv(4, 3, stride=2), Pool("max", (3, 3), (2, 2), (1, 1)), Concat((conv(4, (1, 7)), conv(4, (5, 1)))))),
        Shape(3, 64, 64),
    )
    assert receptive_field(graph) == (3 + 2 * 2 + 4 * 4, 3 + 2 * 2 + 6 * 4)


def test_the_documented_path_has_the_documented_numbers() -> None:
    naive = Graph(Naive(64, 128, 32).lower(192, Units(), "block"), Shape(192, 28, 28))
    reduced = rewrite(naive, "reduce")
    stacked = rewrite(reduced.graph, "stack")
    factorized = rewrite(stacked.graph, "factorize")
    rows = [reduced.before, reduced.after, stacked.after, factorized.after]
    numbers = [(m.cost.params, m.cost.macs) for m in rows]
    assert numbers == [(387_520, 303_464_448), (133_408, 103_964_672), (134_496, 104_767_488), (131_808, 102_359_040)]
    assert {m.receptive_field for m in rows} == {(5, 5)}
    page = (Path(__file__).parents[2] / "docs" / "rewrites.md").read_text()
    for params, macs in numbers:
        assert f"| {params:,} | {macs:,} |" in page
