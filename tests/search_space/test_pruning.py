"""Pruning: the smaller network against the masked one that it stands for, and weights by magnitude."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.documents import (
    fitted,
    graph_of,
    input_of,
    network_document,
    pruned_document,
    pruned_of,
    reference_document,
    summary_of,
)
from search_space.graph import Concat, Conv, GlobalPool, Graph, Linear, Residual, Seq, Shape, Slice, conv, walk
from search_space.lowering import lower
from search_space.network import Network, build
from search_space.pruned_weights import (
    magnitude_pruned,
    masked,
    prunable,
    prune_channels,
    smaller_state,
    two_of_four,
    zero_share,
)
from search_space.pruning import PruningError, channel_classes, removed_classes, without
from search_space.references import REFERENCES
from search_space.source import source
from search_space.space import parse_space

SPACES = {"quick": Shape(3, 16, 16), "cifar": Shape(3, 32, 32), "v3": Shape(3, 32, 32), "signals": Shape(2, 1, 64)}
SPACE_FILES = Path(__file__).parents[2] / "conf" / "space"


def trained(graph: Graph, seed: int) -> Network:
    """Return a network in evaluation mode whose statistics, scales and shifts are not the initial ones."""
    torch.manual_seed(seed)
    network = build(graph)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def assert_equal_to_the_masked_parent(
    graph: Graph, removed: frozenset[int], seed: int, dtype: torch.dtype = torch.float32
) -> Graph:
    network = trained(graph, seed)
    state = network.state_dict()
    pruned = without(graph, removed)
    smaller = build(pruned.graph).eval()
    smaller.load_state_dict(smaller_state(graph, state, pruned), strict=True)
    network.load_state_dict(masked(graph, state, pruned))
    images = torch.randn(3, *graph.input, generator=torch.Generator().manual_seed(seed)).to(dtype)
    with torch.no_grad():
        expected, found = network.to(dtype)(images), smaller.to(dtype)(images)
    tolerance = 1e-6 if dtype is torch.float32 else 1e-12
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * max(1.0, float(expected.abs().max())))
    assert cost(pruned.graph).params == sum(one.numel() for one in smaller.parameters())
    return pruned.graph


def random_removal(graph: Graph, generator: random.Random) -> frozenset[int]:
    classes = channel_classes(graph)
    units = [*(frozenset((one,)) for one in classes.removable), *classes.branches]
    generator.shuffle(units)
    order = classes.order(units)
    return frozenset().union(*order[: generator.randint(0, len(order))])


@pytest.mark.parametrize("seed", range(60))
def test_a_random_network_of_every_node_type_equals_its_masked_parent(make_graph: Any, seed: int) -> None:
    graph = make_graph(seed)
    assert_equal_to_the_masked_parent(graph, random_removal(graph, random.Random(seed)), seed)


@pytest.mark.parametrize("name", SPACES)
def test_random_architectures_of_a_space_equal_their_masked_parents(name: str) -> None:
    generator = random.Random(3)
    space = parse_space(yaml.safe_load((SPACE_FILES / f"{name}.yaml").read_text()), SPACES[name], 10)
    smaller = 0
    for seed in range(10):
        graph = lower(space.draw(generator))
        after = assert_equal_to_the_masked_parent(graph, random_removal(graph, generator), seed, torch.float64)
        smaller += cost(after).params < cost(graph).params
    assert smaller >= 8


PUBLISHED = [
    "resnet20",
    "inception_next_atto",
    "googlenet",
    "xception",
    "inception_v4",
    "inception_resnet_v2",
    "mobilenet_v2",
]


@pytest.mark.few(2)
@pytest.mark.parametrize(("name", "share"), [("resnet20", 0.3), *((name, 0.6) for name in PUBLISHED)])
def test_a_published_network_loses_the_share_that_was_asked_for(name: str, share: float) -> None:
    graph = graph_of(reference_document(name, Shape(3, 75, 75), 10))
    state = trained(graph, 0).state_dict()
    pruned = prune_channels(graph, state, share)
    # so deep a random network adds up roundings of float32 to more than 1e-6
    after = assert_equal_to_the_masked_parent(graph, pruned.removed, 0, torch.float64)
    assert cost(after).params <= (1 - share) * cost(graph).params
    assert cost(after).params > (0.9 - share) * cost(graph).params  # and hardly more than was asked for
    assert cost(after).macs < cost(graph).macs


def test_branches_go_as_a_whole() -> None:
    graph = Graph(
        Seq((
            Concat(
                (conv(8, 1, name="k1"), Seq((conv(4, 1), conv(8, 3)), name="k3"), conv(8, 5, name="k5")), name="block"
            ),
            GlobalPool(),
            Linear(4),
        )),
        Shape(3, 8, 8),
    )  # fmt: skip
    state = trained(graph, 1).state_dict()
    state["body.block.k5.norm.weight"] *= 0.01
    pruned = prune_channels(graph, state, 0.3, branches=True)
    paths = {visit.path.rpartition(".")[0] or visit.path for visit in walk(pruned.graph)}
    assert not any("k5" in path for path in paths)
    assert any("k3" in path for path in paths)
    assert pruned.document() == {"block.k5": list(range(8))}


def test_tied_channels_go_together() -> None:
    body = Seq((conv(8, 3, name="first"), conv(8, 3, activation=None, name="second")))
    tied = Residual(body, activation="relu", name="sum")
    graph = Graph(Seq((conv(8, 3, name="stem"), tied, conv(12, 3, groups=4, name="grouped"), GlobalPool(), Linear(4))),
                  Shape(3, 8, 8))  # fmt: skip
    classes = channel_classes(graph)
    assert classes.written["stem"] == classes.written["sum.body.second"]
    assert len(set(classes.written["stem"])) == 2  # 8 channels in 4 groups
    assert len(set(classes.written["grouped"])) == 3
    removed = removed_classes(classes, {name: [0, 2, 4, 6] for name in ("stem", "sum.body.second")})
    smaller = without(graph, removed).graph
    assert {v.path: (v.leaf.channels, v.leaf.groups) for v in walk(smaller) if isinstance(v.leaf, Conv)} == {
        "stem": (4, 1),
        "sum.body.first": (8, 1),
        "sum.body.second": (4, 1),
        "grouped": (12, 4),
    }
    with pytest.raises(PruningError, match=r"tied to one another must be removed together, got some at stem"):
        removed_classes(classes, {"stem": [0]})
    with pytest.raises(PruningError, match=r"must list channels of convolutions by path, got others at nowhere"):
        removed_classes(classes, {"nowhere": [0]})
    with pytest.raises(PruningError, match=r"at least one channel, none is left for (sum\.body\.first|grouped)"):
        without(graph, frozenset(classes.written["stem"]))
    with pytest.raises(PruningError, match="must stay"):
        without(graph, frozenset(classes.read["stem"]) | {classes.written["stem"][0]})


def test_a_slice_follows_the_channels_that_are_left() -> None:
    graph = Graph(Seq((conv(6, 3, name="stem"), Slice(2, 5, name="cut"), GlobalPool(), Linear(3))), Shape(3, 4, 4))
    classes = channel_classes(graph)
    removed = frozenset(classes.written["stem"][place] for place in (1, 3, 5))
    after = assert_equal_to_the_masked_parent(graph, removed, 0)
    (cut,) = [visit.leaf for visit in walk(after) if isinstance(visit.leaf, Slice)]
    assert (cut.start, cut.stop) == (1, 3)


def test_a_document_of_a_pruned_network_is_read_back(quick_mapping: dict[str, Any]) -> None:
    space = parse_space(quick_mapping, Shape(3, 16, 16), 10)
    architecture = space.draw(random.Random(5))
    graph = lower(architecture)
    pruned = prune_channels(graph, trained(graph, 5).state_dict(), 0.5)
    document = json.loads(json.dumps(pruned_document(architecture.to_json(), pruned)))
    assert graph_of(document) == pruned.graph
    assert pruned_of(document).removed == pruned.removed
    assert input_of(document) == Shape(3, 16, 16)
    assert graph_of(fitted(document, Shape(3, 24, 24), 4)).output.size == 4
    assert "without" in summary_of(document)
    assert "class Network" in source(graph_of(document))
    with pytest.raises(ValueError, match="made of one that is not"):
        graph_of(pruned_document(document, pruned))
    with pytest.raises(ValueError, match="must have pruned and removed"):
        graph_of({"pruned": architecture.to_json()})
    assert Architecture.from_json(network_document(document)) == architecture


def test_a_document_of_a_narrower_published_network_is_read_back() -> None:
    document = reference_document("mobilenet_v2", Shape(3, 16, 16), 5, 0.25)
    assert document == {"reference": "mobilenet_v2", "input": [3, 16, 16], "classes": 5, "width": 0.25}
    assert graph_of(document) == REFERENCES["mobilenet_v2"](Shape(3, 16, 16), 5, width=0.25)
    assert reference_document("xception", Shape(3, 75, 75), 5, 1.0) == reference_document(
        "xception", Shape(3, 75, 75), 5
    )
    assert fitted(document, Shape(1, 8, 8), 3) == {**document, "input": [1, 8, 8], "classes": 3}
    for width in (0, 1.5, True, "wide"):
        with pytest.raises(ValueError, match=rf"width must be a number in \(0, 1\], got {width!r}"):
            graph_of({**document, "width": width})
    with pytest.raises(ValueError, match=r"width may be that of googlenet, .*, got that of 'xception'"):
        graph_of(reference_document("xception", Shape(3, 75, 75), 5, 0.5))


def test_more_channels_than_can_go_are_refused(quick_mapping: dict[str, Any]) -> None:
    graph = lower(parse_space(quick_mapping, Shape(3, 16, 16), 10).draw(random.Random(5)))
    with pytest.raises(PruningError, match=r"sparsity by channels must leave the .* parameters that have to stay"):
        prune_channels(graph, trained(graph, 0).state_dict(), 0.9999)


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.8])
def test_the_smallest_weights_become_zero(make_graph: Any, sparsity: float, per_layer: bool) -> None:
    graph = Graph(Seq((conv(16, 3), conv(32, 3), conv(8, 1), GlobalPool(), Linear(10))), Shape(3, 8, 8))
    state = trained(graph, 2).state_dict()
    found = magnitude_pruned(state, sparsity, per_layer=per_layer)
    assert zero_share(found) == pytest.approx(sparsity, abs=2e-3 if per_layer else 1e-4)
    for name in state:
        kept = found[name] != 0
        assert torch.equal(found[name][kept], state[name][kept])
        if name not in prunable(state):
            assert torch.equal(found[name], state[name])
    kept = torch.cat([found[name].abs().flatten() for name in prunable(state)])
    if not per_layer and sparsity:
        gone = torch.cat([(state[name].abs() * (found[name] == 0)).flatten() for name in prunable(state)])
        assert float(gone.max()) <= float(kept[kept > 0].quantile(0.02))  # but for the largest of each filter


def test_every_filter_keeps_a_weight() -> None:
    graph = Graph(Seq((conv(16, 3), conv(32, 3, groups=16), GlobalPool(), Linear(10))), Shape(3, 8, 8))
    state = trained(graph, 2).state_dict()
    state["body.0.conv.weight"] *= 1e-6
    found = magnitude_pruned(state, 0.8)
    for name in prunable(found):
        assert bool((found[name].flatten(1) != 0).any(dim=1).all())
    with pytest.raises(PruningError, match=r"must leave every filter a weight, here at most 0\.\d+, got 0\.99"):
        magnitude_pruned(state, 0.99)


def test_two_of_four_weights_stay() -> None:
    state = {"conv.weight": torch.arange(1.0, 13.0).reshape(2, 6, 1, 1), "norm.weight": torch.ones(2)}
    found = two_of_four(state)
    assert found["conv.weight"].flatten(1).tolist() == [[0, 0, 3, 4, 5, 6], [0, 0, 9, 10, 11, 12]]
    assert torch.equal(found["norm.weight"], state["norm.weight"])
