"""Fixtures of the tests of search_space: random graphs of every node type, and the shipped space."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

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
)

GraphMaker = Callable[..., Graph]
INPUT = Shape(6, 9, 8)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def quick_mapping() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).parents[2].joinpath("conf", "space", "quick.yaml").read_text())


@pytest.fixture(scope="session")
def make_graph() -> GraphMaker:
    """Return `make_graph(seed, shape=..., taps=...)`: a random network of all node types, nested up to three deep."""

    def make(seed: int, shape: Shape = INPUT, *, taps: bool = True, classes: int = 5) -> Graph:
        rng = random.Random(seed)
        nodes: list[Node] = []
        current = shape
        for _ in range(rng.randint(1, 4)):
            nodes.append(_node(rng, current, 3, taps))
            current = nodes[-1].output_shape(current)
            if rng.random() < 0.4:
                nodes.append(_shrinking(rng, current))
                current = nodes[-1].output_shape(current)
        return Graph(Seq((*nodes, GlobalPool(), Linear(classes, name="classifier"))), shape)

    return make


def _node(rng: random.Random, shape: Shape, depth: int, taps: bool) -> Node:
    """Return a random expression that keeps height and width."""
    kind = rng.choice(["leaf", "seq", "concat", "residual", "tap"]) if depth else "leaf"
    match kind:
        case "seq":
            nodes: list[Node] = []
            for _ in range(rng.randint(0, 3)):
                nodes.append(_node(rng, shape, depth - 1, taps))
                shape = nodes[-1].output_shape(shape)
            return Seq(tuple(nodes))
        case "concat":
            return Concat(tuple(_node(rng, shape, depth - 1, taps) for _ in range(rng.randint(1, 3))))
        case "residual":
            body = _node(rng, shape, depth - 1, taps)
            output = body.output_shape(shape)
            activation = rng.choice([None, "relu", "gelu"])
            if output == shape and rng.random() < 0.7:
                return Residual(body, activation=activation)
            return Residual(body, Conv(output.channels, (1, 1), norm=Norm()), activation)
        case "tap" if taps:
            return Tap(Seq((GlobalPool(), Linear(5, activation=rng.choice([None, "relu"])))), rng.choice([0.3, 1]))
    return _leaf(rng, shape)


def _leaf(rng: random.Random, shape: Shape) -> Node:
    kinds = [
        "conv",
        "conv",
        "depthwise",
        "max",
        "avg",
        "norm",
        "activation",
        "scale",
        "lrn",
        "dropout",
        "none",
        "slice",
    ]
    kind = rng.choice(kinds)
    return _sweeping(rng, shape, kind) if kind in kinds[:5] else _pointwise(rng, shape, kind)


def _sweeping(rng: random.Random, shape: Shape, kind: str) -> Node:
    side, other = rng.choice([1, 3, 5]), rng.choice([1, 3])
    padding = (side // 2, other // 2)
    match kind:
        case "conv":
            groups = rng.choice([g for g in (1, 1, 2, 3) if shape.channels % g == 0])
            norm = rng.choice([None, Norm(), Norm("layer", 1e-6)])
            activation = rng.choice([None, "relu", "gelu"])
            channels = groups * rng.randint(1, 4)
            return Conv(channels, (side, other), (1, 1), padding, groups, rng.random() < 0.5, norm, activation)
        case "depthwise":
            return Conv(shape.channels, (side, other), padding=padding, groups=shape.channels)
        case "max":
            return Pool("max", (3, 3), padding=(1, 1))
    return Pool("avg", (3, 3), padding=(1, 1), count_padding=rng.random() < 0.5)


def _pointwise(rng: random.Random, shape: Shape, kind: str) -> Node:
    match kind:
        case "norm":
            return Norm(rng.choice(["batch", "layer"]))
        case "activation":
            return Activation(rng.choice(["relu", "gelu"]))
        case "scale":
            return Scale(rng.choice([0.5, 1, 2]), learned=rng.random() < 0.5)
        case "lrn":
            return LRN(rng.choice([2, 5]))
        case "dropout":
            return Dropout(rng.choice([0.0, 0.5]))
        case "slice":
            start = rng.randrange(shape.channels)
            return Slice(start, rng.randint(start + 1, shape.channels))
    return Identity()


def _shrinking(rng: random.Random, shape: Shape) -> Node:
    match rng.choice(["conv", "max", "avg", "global", "linear"]):
        case "conv":
            return Conv(rng.randint(1, 6), (3, 3), (2, 1), (1, 1), bias=True, activation="relu")
        case "max":
            return Pool("max", (3, 3), (2, 2), (1, 1), ceil=True)
        case "avg":
            return Pool("avg", (2, 2), (2, 2), (1, 1))
        case "global":
            return GlobalPool(rng.choice(["max", "avg"]), (2, 3))
    return Linear(rng.randint(2, 6), bias=rng.random() < 0.5, activation=rng.choice([None, "gelu"]))
