"""Architectures of 12 blocks a second that one core samples, identifies and costs.

Run: python benchmarks/space_speed.py

Each row draws architectures and computes both identities, parameters, MACs and activation memory. The peer in the same
run is torch's `flop_counter` over the built module on the meta device, which needs no data either. Times are processor
seconds, which other programs on the machine do not change.
"""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.graph import Graph, Shape
from search_space.identity import network_id
from search_space.lowering import lower
from search_space.memo import Memo
from search_space.network import build
from search_space.space import Space, parse_space

ROOT = Path(__file__).parents[1]
REPEATS = 5
WARM_UP = 3000
Examine = Callable[[Architecture], object]


def twelve_blocks() -> Space:
    """Return the quick space with six blocks in each of its two stages, on 32×32 images."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "conf" / "space" / "quick.yaml").read_text())
    document["stages"] = [stage | {"depth": 6} for stage in document["stages"]]
    return parse_space(document, Shape(3, 32, 32), 10)


def compute(architecture: Architecture) -> object:
    graph = lower(architecture)
    return architecture.id, network_id(graph), cost(graph)


def counted(architecture: Architecture) -> object:
    graph: Graph = lower(architecture)
    with torch.device("meta"):
        network = build(graph).eval()
        images = torch.zeros(1, *graph.input)
    with FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops(), sum(parameter.numel() for parameter in network.parameters())


def rate(draw: Callable[[], Architecture], examine: Examine, count: int) -> list[float]:
    """Return the architectures a second of each repeat."""
    rates = []
    for _ in range(REPEATS):
        start = time.process_time()
        for _ in range(count):
            examine(draw())
        rates.append(count / (time.process_time() - start))
    return rates


def main() -> None:
    torch.set_num_threads(1)
    space, generator = twelve_blocks(), random.Random(0)
    memo = Memo()

    def remembered(architecture: Architecture) -> object:
        return architecture.id, memo.examine(architecture)

    for _ in range(WARM_UP):  # as in a search, whose sampler examines thousands of candidates an ask
        remembered(space.draw(generator))
    # as in evolution: few parents, and children that differ in one block
    parents = [space.draw(generator) for _ in range(20)]
    children = iter([space.mutate(generator.choice(parents), generator) for _ in range(500 * REPEATS)])
    rows = [
        ("sample alone", rate(lambda: space.draw(generator), lambda a: a, 300)),
        ("sample, name, cost", rate(lambda: space.draw(generator), compute, 100)),
        ("sample, name, cost; parts remembered", rate(lambda: space.draw(generator), remembered, 500)),
        ("name, cost of new mutants; parts remembered", rate(lambda: next(children), remembered, 500)),
        ("sample, build, flop_counter", rate(lambda: space.draw(generator), counted, 5)),
    ]
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one used"
    print(f"{machine}; Python {platform.python_version()}")
    print(f"torch {torch.__version__}; {REPEATS} repeats; architectures a second of processor time")
    print(f"{'':46}{'median':>10}{'min':>10}{'max':>10}")
    for name, rates in rows:
        print(f"{name:46}{median(rates):10,.0f}{min(rates):10,.0f}{max(rates):10,.0f}")


if __name__ == "__main__":
    main()
