from __future__ import annotations

import copy
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from search_space.graph import (
    LRN,
    Activation,
    Concat,
    Conv,
    GlobalPool,
    Graph,
    Identity,
    Linear,
    Norm,
    Pool,
    Residual,
    Scale,
    Seq,
    Shape,
    Tap,
    conv,
    walk,
)
from search_space.lowering import lower
from search_space.network import Network, build
from search_space.space import parse_space


def images(graph: Graph, count: int = 2) -> torch.Tensor:
    return torch.randn(count, *graph.input, generator=torch.Generator().manual_seed(0))


def example() -> Graph:
    block = Concat((conv(4, 1, name="k1"), Seq((conv(2, 1, name="reduce"), conv(4, 3, name="conv")), name="k3")))
    head = Seq((GlobalPool(), Linear(7, activation="relu", name="hidden"), Linear(5, name="classifier")))
    nodes = (
        conv(4, 3, name="stem"),
        Seq((block, Norm(name="norm")), name="stage0"),
        Tap(head, 0.3, name="aux"),
        Residual(Seq((conv(8, 3, activation=None), Scale(0.1, learned=True))), activation="relu", name="sum"),
        Residual(conv(6, 1), Conv(6, (1, 1), bias=True), name="projected"),
        GlobalPool(name="pool"),
        Linear(5, name="classifier"),
    )
    return Graph(Seq(nodes), Shape(3, 8, 8))


def test_parameter_names_are_the_graphs_paths() -> None:
    names = set(build(example()).state_dict())
    assert {
        "body.stem.conv.weight",
        "body.stem.norm.running_mean",
        "body.stage0.0.k1.conv.weight",
        "body.stage0.0.k3.reduce.conv.weight",
        "body.stage0.norm.weight",
        "body.aux.head.hidden.0.weight",
        "body.aux.head.classifier.bias",
        "body.sum.body.0.conv.weight",
        "body.sum.body.1.weight",
        "body.projected.shortcut.conv.bias",
        "body.classifier.weight",
    } <= names


def test_every_leafs_path_is_a_submodule(make_graph: Callable[..., Graph]) -> None:
    for seed in range(30):
        graph = make_graph(seed)
        network = build(graph)
        for visit in walk(graph, taps=True):
            assert isinstance(network.get_submodule(f"body.{visit.path}"), nn.Module)


def test_promised_shapes_are_real(make_graph: Callable[..., Graph]) -> None:
    for seed in range(60):
        graph = make_graph(seed)
        network = build(graph).eval()
        seen: dict[str, tuple[int, ...]] = {}
        for visit in walk(graph, taps=True):

            def note(_: nn.Module, __: Any, output: torch.Tensor, path: str = visit.path, seen: Any = seen) -> None:
                seen[path] = tuple(output.shape)

            network.get_submodule(f"body.{visit.path}").register_forward_hook(note)
        with torch.no_grad():
            logits = network(images(graph))
        assert logits.shape == (2, graph.output.channels)
        for visit in walk(graph):
            assert seen[visit.path] == (2, *visit.output), (seed, visit)


def test_any_node_may_follow_a_linear_layer() -> None:
    for node in (Norm(), Norm("layer"), conv(4, 3), GlobalPool(), Scale(2, learned=True), LRN(), Activation("gelu")):
        graph = Graph(Seq((Linear(6, activation="relu"), node, Linear(2))), Shape(1, 4, 4))
        assert build(graph)(images(graph)).shape == (2, 2)


@pytest.mark.parametrize("channels", [1, 3, 7, 8])
def test_a_strided_pointwise_convolution_of_few_channels_is_one_behind_a_subsampling(channels: int) -> None:
    graph = Graph(Conv(5, (1, 1), (2, 3), bias=True, name="conv"), Shape(channels, 7, 8))
    network, pixels = build(graph), images(graph)
    found = network.get_submodule("body.conv")
    assert isinstance(found, nn.Conv2d)
    assert (found.stride == (1, 1)) == (channels < 8)
    expected = nn.functional.conv2d(pixels, found.weight, found.bias, (2, 3))
    assert torch.allclose(network(pixels), expected.flatten(1), atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4])
def test_a_training_step_of_one_with_few_channels_leaves_the_memory_whole(channels: int) -> None:
    lines = (
        "import torch",
        "from search_space.graph import Conv, Graph, Shape",
        "from search_space.network import build",
        f"network = build(Graph(Conv(4, (1, 1), (2, 2)), Shape({channels}, 8, 8)))",
        "network.to(memory_format=torch.channels_last)",
        "for _ in range(4):",
        f"    pixels = torch.randn(64, {channels}, 8, 8, requires_grad=True)",
        "    network(pixels.contiguous(memory_format=torch.channels_last)).square().sum().backward()",
    )
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_relu6_is_a_relu_of_at_most_six() -> None:
    pixels = torch.tensor([-1.0, 2.0, 5.0, 9.0]).reshape(1, 1, 2, 2)
    identity = Conv(1, (1, 1), activation="relu6")
    network, alone = build(Graph(identity, Shape(1, 2, 2))), build(Graph(Activation("relu6"), Shape(1, 2, 2)))
    torch.nn.init.ones_(next(network.parameters()))
    assert network(pixels).flatten().tolist() == alone(pixels).flatten().tolist() == [0.0, 2.0, 5.0, 6.0]


def test_every_parameter_gets_a_gradient(make_graph: Callable[..., Graph], quick_mapping: dict[str, Any]) -> None:
    space = parse_space(quick_mapping, Shape(3, 8, 8), 10)
    graphs = [lower(space.draw(random.Random(seed))) for seed in range(20)]
    for graph in graphs + [make_graph(seed) for seed in range(40)]:
        network = build(graph)
        output = network(images(graph, 4))
        logits, auxiliary = output if isinstance(output, tuple) else (output, [])
        loss = logits.sum() + sum(weight * head.sum() for head, weight in auxiliary)
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_channels_last_gives_the_same_outputs(make_graph: Callable[..., Graph]) -> None:
    for seed in range(30):
        graph = make_graph(seed)
        network = build(graph).eval()
        with torch.no_grad():
            expected = network(images(graph))
            network.to(memory_format=torch.channels_last)
            found = network(images(graph).to(memory_format=torch.channels_last))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_auxiliary_heads_run_in_training_only() -> None:
    graph = example()
    network = build(graph).train()
    logits, auxiliary = network(images(graph))
    assert logits.shape == (2, 5)
    assert [(head.shape, weight) for head, weight in auxiliary] == [((2, 5), 0.3)]
    assert len(network(images(graph))[1]) == 1  # nothing left over from the call before
    ran: list[str] = []
    network.get_submodule("body.aux.head").register_forward_hook(lambda *_: ran.append("head"))
    network.eval()
    with torch.no_grad():
        assert isinstance(network(images(graph)), torch.Tensor)
    assert ran == []
    plain = build(Graph(conv(2, 1), Shape(1, 4, 4))).train()
    assert isinstance(plain(torch.randn(2, 1, 4, 4)), torch.Tensor)


def test_a_copy_has_auxiliary_heads_of_its_own() -> None:
    graph = example()
    network = build(graph).train()
    twin = copy.deepcopy(network)
    assert len(twin(images(graph))[1]) == 1
    assert network.taps == []


def test_no_module_object_stands_in_two_places(make_graph: Callable[..., Graph]) -> None:
    for graph in (example(), *(make_graph(seed) for seed in range(20))):
        modules = [module for _, module in build(graph).named_modules(remove_duplicate=False)]
        assert len({id(module) for module in modules}) == len(modules)


def test_one_node_value_used_twice_becomes_two_modules() -> None:
    unit = conv(4, 3)
    network = build(Graph(Seq((unit, unit)), Shape(4, 4, 4)))
    assert len(list(network.parameters())) == 6


def test_shared_inputs_are_not_changed_in_place() -> None:
    graph = Graph(Concat((Activation("relu"), Identity(), Residual(Identity(), activation="relu"))), Shape(2, 2, 2))
    x = torch.tensor([-1.0, 2.0]).reshape(1, 2, 1, 1).expand(1, 2, 2, 2).contiguous()
    kept = x.clone()
    output = build(graph)(x).reshape(3, 2, 2, 2)
    assert x.equal(kept)
    assert output[:, 0, 0, 0].tolist() == [0.0, -1.0, 0.0]
    assert output[:, 1, 0, 0].tolist() == [2.0, 2.0, 4.0]


def test_values_of_a_small_network_by_hand() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
    graph = Graph(Seq((Concat((Scale(2.0), Pool("max", (1, 1)))), LRN(1, alpha=1.0, beta=1.0, k=1.0))), Shape(4, 1, 1))
    raw = [2.0, 4.0, 6.0, 8.0, 1.0, 2.0, 3.0, 4.0]
    torch.testing.assert_close(build(graph)(x)[0], torch.tensor([v / (1 + v * v) for v in raw]))
    normed = build(Graph(Norm("layer"), Shape(4, 1, 1)))(x)[0]
    torch.testing.assert_close(normed, (x.flatten() - 2.5) / (1.25 + 1e-5) ** 0.5)


def test_building_is_deterministic_and_he_initialised() -> None:
    graph = Graph(Conv(512, (3, 3), bias=True), Shape(64, 3, 3))
    torch.manual_seed(3)
    first = build(graph).state_dict()
    torch.manual_seed(3)
    second = build(graph).state_dict()
    third = build(graph).state_dict()
    assert all(first[name].equal(second[name]) for name in first)
    weight = first["body.conv.weight"]
    assert not weight.equal(third["body.conv.weight"])
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not first["body.conv.bias"].any()


def test_state_dict_round_trip(make_graph: Callable[..., Graph]) -> None:
    for seed in range(20):
        graph = make_graph(seed)
        source, target = build(graph), build(graph)
        source(images(graph, 4))  # moves the running statistics
        target.load_state_dict(source.state_dict(), strict=True)
        with torch.no_grad():
            assert target.eval()(images(graph)).equal(source.eval()(images(graph)))


def test_a_name_that_torch_modules_use_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be an attribute that torch modules have, got 'forward'"):
        build(Graph(Seq((Identity(name="forward"),)), Shape(1, 1, 1)))
    with pytest.raises(ValueError, match="must not be an attribute that torch modules have, got 'train'"):
        build(Graph(Concat((Identity(name="train"),)), Shape(1, 1, 1)))


def test_a_network_is_a_module_of_images_to_logits() -> None:
    network = build(example())
    assert isinstance(network, Network)
    assert network.has_taps
