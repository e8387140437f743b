"""Memory in eager PyTorch against what its allocator says, and weights against the module's own."""

from __future__ import annotations

import random
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from search_space.cost import MIB, cost
from search_space.eager import eager_mib, weights_mib
from search_space.graph import Graph, Shape
from search_space.lowering import lower
from search_space.network import build
from search_space.references import REFERENCES
from search_space.space import parse_space

BRANCHES = {
    "k1": {"width": [0, 8]},
    "k3": {"width": [4, 8], "reduction": ["none", 0.5], "factorization": ["full", "asymmetric", "separable"]},
    "pool": {"width": [0, 4], "pool": ["max", "avg"]},
}


class Tensors(TorchDispatchMode):
    """Bytes of all tensors alive, without the workspaces of kernels, which outweigh tiny tensors."""

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


def alive(graph: Graph) -> float:
    network, images = build(graph).eval(), torch.zeros(1, *graph.input)
    with torch.no_grad(), Tensors() as tensors:
        tensors.add(images)
        network(images)
    return tensors.peak / MIB


def allocated(graph: Graph) -> float:
    """Return the peak of the allocations of one inference, with its input, in MiB."""
    network, images = build(graph).eval(), torch.zeros(1, *graph.input)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler, torch.no_grad():
        network(images)
    assert profiler.profiler is not None
    events: Any = profiler.profiler.kineto_results.events()  # type: ignore[attr-defined]
    now = peak = 0
    for _, size in sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"):
        now += size
        peak = max(peak, now)
    return (peak + images.untyped_storage().nbytes()) / MIB


@pytest.mark.parametrize(
    ("name", "ideal"), [("googlenet", 3.83), ("bn_inception", 3.83), ("inception_next_atto", 2.87)]
)
def test_the_bound_is_what_pytorch_allocates_for_a_reference(name: str, ideal: float) -> None:
    graph = REFERENCES[name]()
    assert cost(graph).memory_mib == pytest.approx(ideal, abs=0.005)
    assert eager_mib(graph) == pytest.approx(allocated(graph), rel=0.002)


def test_the_bound_is_what_pytorch_holds_for_random_networks() -> None:
    stage = {"depth": [1, 2], "block": {"branches": BRANCHES}, "reduction": ["none", "max"]}
    mapping = {"name": "s", "stem": {"width": [8, 16]}, "stages": [stage, stage]}
    space, generator = parse_space(mapping, Shape(3, 32, 32), 10), random.Random(0)
    for _ in range(10):
        graph = lower(space.draw(generator))
        assert eager_mib(graph) == pytest.approx(alive(graph), rel=0.001)
        assert eager_mib(graph) >= cost(graph).memory_mib


@pytest.mark.parametrize("name", ["googlenet", "inception_next_atto"])
def test_the_weights_are_those_of_the_module(name: str) -> None:
    graph = REFERENCES[name]()
    inference = build(graph).state_dict()
    heads = {key for key in inference if ".head." in key or key.startswith("head")}
    whole = sum(tensor.untyped_storage().nbytes() for key, tensor in inference.items() if key not in heads)
    assert weights_mib(graph) == pytest.approx(whole / MIB, rel=0.002)
