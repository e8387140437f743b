"""Speed of our googlenet and inception_v3 against torchvision's modules: forward, and forward with backward.

Runs in the environment of tests/oracles/published.py:

    .venv-oracles/bin/python benchmarks/against_torchvision.py [--batch 8] [--pairs 15] [--threads 1]

Each pair times both in alternating order, so that a drift of the machine affects both alike. The output is the median
over pairs of theirs / ours (above 1: ours is faster) with a bootstrap interval of 95 %. Theirs over a copy of itself is
the control: equal networks differ by the addresses of their weights.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "oracles")]

import published  # noqa: E402 - the path must be set first; it defines the operators that torchvision lacks
from torchvision import models  # noqa: E402 - the operators must be there first

from search_space.weights import load_reference_weights  # noqa: E402 - the path must be set first

CASES: tuple[tuple[str, Callable[[], nn.Module], int], ...] = (
    ("googlenet", lambda: models.googlenet(aux_logits=True, init_weights=False), 224),
    ("inception_v3", lambda: models.inception_v3(aux_logits=True, init_weights=False), 299),
)
Outputs = Callable[[nn.Module, Tensor], list[Tensor]]
Run = tuple[nn.Module, Outputs]


def seconds(network: nn.Module, outputs: Outputs, images: Tensor, *, backward: bool) -> float:
    """Return the seconds of one pass."""
    start = time.perf_counter()
    if backward:
        network.zero_grad(set_to_none=True)
        sum(logits.square().mean() for logits in outputs(network, images)).backward()
    else:
        with torch.no_grad():
            outputs(network, images)
    return time.perf_counter() - start


def ratios(pair: tuple[Run, Run], images: Tensor, pairs: int, *, backward: bool) -> list[float]:
    """Return seconds of the first over seconds of the second for each pair, after a pair that warms up."""
    found = []
    for index in range(pairs + 1):
        times = [0.0, 0.0]
        for turn in (0, 1) if index % 2 else (1, 0):
            network, outputs = pair[turn]
            times[turn] = seconds(network, outputs, images, backward=backward)
        found.append(times[0] / times[1])
    return found[1:]


def interval(values: list[float]) -> tuple[float, float]:
    """Return the bootstrap interval of the median, 95 %."""
    generator = random.Random(0)
    medians = sorted(median(generator.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[-51]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} used; torch {torch.__version__}")
    print(f"batch {options.batch}, {options.pairs} pairs; seconds of theirs / of the other")
    for name, make, side in CASES:
        torch.manual_seed(0)
        theirs = make()
        ours = load_reference_weights(name, theirs.state_dict())
        images = torch.randn(options.batch, 3, side, side)  # (N, C, H, W)
        peers = (("ours", ours, published.ours), ("their copy", copy.deepcopy(theirs), published.theirs))
        for backward, (who, network, outputs) in itertools.product((False, True), peers):
            pair = ((theirs.train(backward), published.theirs), (network.train(backward), outputs))
            found = ratios(pair, images, options.pairs, backward=backward)
            low, high = interval(found)
            label = f"{'forward and backward' if backward else 'forward':22}{who:12}"
            print(f"{name:14}{label}{median(found):6.3f}  [{low:.3f}, {high:.3f}]", flush=True)


if __name__ == "__main__":
    main()
