from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space.architecture import Architecture, Block, Branch, Stage, Stem
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
)
from search_space.identity import canonical, canonical_json, network_id
from search_space.lowering import lower

INPUT = Shape(8, 9, 9)
SEEDS = st.integers(0, 10_000)


def same(first: Node, second: Node) -> bool:
    return network_id(Graph(first, INPUT)) == network_id(Graph(second, INPUT))


def rebuild(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return the expression with every node replaced by `change`, children first."""
    match node:
        case Seq():
            node = replace(node, nodes=tuple(rebuild(child, change) for child in node.nodes))
        case Concat():
            node = replace(node, branches=tuple(rebuild(child, change) for child in node.branches))
        case Residual():
            node = replace(node, body=rebuild(node.body, change), shortcut=rebuild(node.shortcut, change))
        case Tap():
            node = replace(node, head=rebuild(node.head, change))
    return change(node)


def renaming(rng: random.Random) -> Callable[[Node], Node]:
    return lambda node: replace(node, name=f"n{rng.getrandbits(60)}")


def nesting(rng: random.Random) -> Callable[[Node], Node]:
    """Return a random change: sequences cut in two, nodes wrapped in a Seq or a one-branch Concat, idle nodes added."""
    nothing = (Identity(), Seq(()), Dropout(0.0), Scale(1), Pool("max", (1, 1)))

    def change(node: Node) -> Node:
        match rng.randrange(5):
            case 0:
                return Seq((node,))
            case 1:
                return Concat((node,))
            case 2:
                return Seq((rng.choice(nothing), node))
            case 3:
                return Seq((node, rng.choice(nothing)))
        if isinstance(node, Seq) and len(node.nodes) > 1:
            at = rng.randrange(len(node.nodes))
            return Seq((Seq(node.nodes[:at]), Seq(node.nodes[at:])))
        if isinstance(node, Concat) and len(node.branches) > 1:
            return Concat((node.branches[0], Concat(node.branches[1:])))
        return node

    return change


def unfused(node: Node) -> Node:
    """Return a node with norms and activations as nodes of their own."""
    match node:
        case Conv():
            tail = [] if node.norm is None else [node.norm]
            tail += [] if node.activation is None else [Activation(node.activation)]
            return Seq((replace(node, norm=None, activation=None), *tail))
        case Linear(activation=str() as kind) | Residual(activation=str() as kind):
            return Seq((replace(node, activation=None), Activation(kind)))
    return node


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_names_nesting_identities_and_fusion_keep_the_identity(make_graph: Callable[..., Graph], seed: int) -> None:
    graph = make_graph(seed)
    rng = random.Random(seed)
    for change in (renaming(rng), nesting(rng), unfused):
        assert canonical(replace(graph, root=rebuild(graph.root, change))) == canonical(graph)


def branch_pool() -> list[Node]:
    return [
        conv(4, 1),
        conv(4, 3),
        Seq((conv(2, 1), conv(4, 5))),
        Seq((Pool("avg", (3, 3), padding=(1, 1)), conv(3, 1))),
        Identity(),
        Seq((Conv(8, (3, 3), padding=(1, 1), groups=8), conv(4, 1))),
        Concat((conv(2, 3), conv(3, (1, 3)))),
    ]


@given(st.permutations(range(7)), st.integers(2, 7))
@settings(max_examples=60, deadline=None)
def test_permuting_branches_keeps_the_identity(order: list[int], count: int) -> None:
    branches = branch_pool()
    permuted = Concat(tuple(branches[i] for i in order if i < count))
    after = (conv(5, 3), GlobalPool(), Linear(3))
    assert same(Seq((Concat(tuple(branches[:count])), *after)), Seq((permuted, *after)))


@pytest.mark.parametrize(
    "watcher",
    [
        Slice(0, 3),
        LRN(3),
        Conv(4, (1, 1), groups=2),
        Conv(4, (1, 1), groups=4),  # two input channels a group: not depthwise, though groups == channels
        Residual(Identity(), Concat((conv(4, 1), conv(4, 5)))),
        Residual(Concat((conv(4, 1), conv(4, 5)))),
    ],
)
def test_the_order_of_branches_counts_where_something_sees_it(watcher: Node) -> None:
    a, b = conv(4, 3), conv(4, 1)
    assert not same(Seq((Concat((a, b)), watcher)), Seq((Concat((b, a)), watcher)))
    assert same(Seq((Concat((a, b)), watcher)), Seq((Seq((Concat((a, b)),)), watcher)))


@pytest.mark.parametrize(
    "blind",
    [
        Conv(8, (3, 3), padding=(1, 1), groups=8),
        Norm(),
        Norm("layer"),
        Scale(0.1, learned=True),
        Residual(Seq((Concat((conv(2, 1), conv(2, 3))), conv(8, 1, activation=None), Scale(0.2)))),
        Residual(Concat((conv(4, 1), conv(4, 3))), conv(8, 1)),
    ],
)
def test_the_order_of_branches_does_not_count_where_nothing_sees_it(blind: Node) -> None:
    a, b = conv(4, 3), conv(4, 1)
    assert same(Seq((Concat((a, b)), blind)), Seq((Concat((b, a)), blind)))


def test_aligned_sums_are_told_apart() -> None:
    # (a, b) + (c, d) pairs a with c; (b, a) + (c, d) pairs b with c: no permutation of weights makes them one.
    a, b, c, d = conv(4, 1), conv(4, 3), conv(4, 5), conv(4, 7)
    assert not same(Residual(Concat((a, b)), Concat((c, d))), Residual(Concat((b, a)), Concat((c, d))))
    assert same(Residual(Concat((a, b)), Concat((c, d))), Residual(Concat((c, d)), Concat((a, b))))


BASE = Conv(8, (3, 3), padding=(1, 1), norm=Norm(), activation="relu")
DIFFERENT: list[Node] = [
    BASE,
    replace(BASE, channels=7),
    replace(BASE, kernel=(1, 3), padding=(0, 1)),
    replace(BASE, kernel=(3, 1), padding=(1, 0)),
    replace(BASE, stride=(2, 2)),
    replace(BASE, padding=(0, 0)),
    replace(BASE, groups=2),
    replace(BASE, bias=True),
    replace(BASE, norm=None),
    replace(BASE, norm=Norm("layer")),
    replace(BASE, norm=Norm(eps=1e-3)),
    replace(BASE, activation=None),
    replace(BASE, activation="gelu"),
    Seq((replace(BASE, norm=None), Norm())),
    Seq((BASE, BASE)),
    Concat((BASE, BASE)),
    Concat((Seq((BASE, BASE)), BASE)),
    Concat((Concat((BASE, BASE)), BASE)),
    Residual(BASE),
    Residual(BASE, activation="relu"),
    Residual(BASE, BASE),
    Residual(Seq((BASE, BASE))),
    Seq((BASE, Residual(BASE))),
    Identity(),
    Pool("max", (3, 3), padding=(1, 1)),
    Pool("avg", (3, 3), padding=(1, 1)),
    Pool("avg", (3, 3), padding=(1, 1), count_padding=False),
    Pool("max", (3, 3), (2, 2)),
    Pool("max", (2, 2), (2, 2)),
    Pool("max", (2, 2), (2, 2), ceil=True),
    GlobalPool(),
    GlobalPool("max"),
    GlobalPool(size=(2, 2)),
    Slice(0, 4),
    Slice(4, 8),
    Scale(0.5),
    Scale(1, learned=True),
    Scale(0.5, learned=True),
    LRN(),
    LRN(size=3),
    LRN(alpha=1e-3),
    LRN(beta=0.5),
    LRN(k=2.0),
    Dropout(0.5),
    Dropout(0.4),
    Linear(8),
    Linear(8, bias=False),
    Linear(8, activation="relu"),
    Tap(Linear(8), 0.3),
    Tap(Linear(8), 0.4),
    Tap(Linear(9), 0.3),
    Activation("relu"),
    Activation("gelu"),
    Norm(),
]


def test_different_networks_differ() -> None:
    ids = [network_id(Graph(root, INPUT)) for root in DIFFERENT]
    assert len(set(ids)) == len(ids)
    assert network_id(Graph(BASE, Shape(8, 9, 8))) != ids[0]


def test_equal_numbers_are_one_network_whatever_their_type() -> None:
    assert same(Scale(2), Scale(2.0))
    assert same(LRN(alpha=1, beta=1, k=1), LRN(alpha=1.0, beta=1.0, k=1.0))
    assert same(Tap(Linear(8), 1), Tap(Linear(8), 1.0))
    assert same(Norm(eps=1), Norm(eps=1.0))


def architecture(*stages: Stage) -> Architecture:
    return Architecture(Shape(3, 16, 16), 10, Stem(8), stages)


def block(*branches: Branch) -> Block:
    return Block("inception", branches)


def test_a_stacked_5x5_alone_and_two_3x3_blocks_are_one_network() -> None:
    stacked = architecture(Stage((block(Branch("k5", 8, factorization="stacked")),)))
    chained = architecture(Stage((block(Branch("k3", 8)), block(Branch("k3", 8)))))
    assert stacked.id != chained.id
    assert network_id(lower(stacked)) == network_id(lower(chained))


def test_ratios_that_round_to_the_same_channels_are_one_network_and_two_ids() -> None:
    quarter = architecture(Stage((block(Branch("k5", 4, reduction=0.25), Branch("k1", 4)),)))
    third = architecture(Stage((block(Branch("k5", 4, reduction=0.33), Branch("k1", 4)),)))
    half = architecture(Stage((block(Branch("k5", 4, reduction=0.5), Branch("k1", 4)),)))
    assert len({quarter.id, third.id, half.id}) == 3
    assert network_id(lower(quarter)) == network_id(lower(third)) != network_id(lower(half))


def test_canonical_text_is_readable_and_stays_as_it_is() -> None:
    root = Seq((conv(4, 3), Concat((conv(2, 3), conv(2, 1))), Residual(conv(4, 1, activation=None), activation="relu")))
    graph = Graph(Seq((root, GlobalPool(), Dropout(0.2), Linear(2))), Shape(1, 8, 8))
    unit = "batchnorm(1e-05)"
    assert canonical(graph) == (
        f"1,8,8:conv(4,3x3/1x1+1x1,g1);{unit};relu;"
        f"concat(conv(2,1x1/1x1+0x0,g1);{unit};relu|conv(2,3x3/1x1+1x1,g1);{unit};relu);"
        f"residual(|conv(4,1x1/1x1+0x0,g1);{unit});relu;globalavg(1x1);dropout(0.2);linear(2+b)"
    )
    assert network_id(graph) == "78f967c363e35fe3"


def test_canonical_json_has_one_text_for_equal_values() -> None:
    assert canonical_json({"b": [1, 2], "a": "×"}) == canonical_json({"a": "×", "b": [1, 2]}) == '{"a":"×","b":[1,2]}'
