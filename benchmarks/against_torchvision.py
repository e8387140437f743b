"""Our googlenet and inception_v3 against torchvision's modules: forward, and forward with backward.

Runs in the environment of tests/oracles/published.py:

    .venv-oracles/bin/python benchmarks/against_torchvision.py [--batch 8] [--pairs 15] [--threads 1]

Each pair times both, in turns of changing order, so that a drift of the machine meets both alike. Printed is the
median over pairs of theirs / ours (above 1: ours is faster) with a bootstrap interval of 95 %.
"""

from __future__ import annotations

import argparse
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


def seconds(network: nn.Module, outputs: Outputs, images: Tensor, *, backward: bool) -> float:
    """One pass, on the clock."""
    start = time.perf_counter()
    if backward:
        network.zero_grad(set_to_none=True)
        sum(logits.square().mean() for logits in outputs(network, images)).backward()
    else:
        with torch.no_grad():
            outputs(network, images)
    return time.perf_counter() - start


def ratios(pair: tuple[nn.Module, nn.Module], images: Tensor, pairs: int, *, backward: bool) -> list[float]:
    """Theirs over ours, once a pair; the first pair warms up and does not count."""
    found = []
    for index in range(pairs + 1):
        runs = [("theirs", pair[0], published.theirs), ("ours", pair[1], published.ours)]
        times = {
            name: seconds(network, outputs, images, backward=backward)
            for name, network, outputs in (runs if index % 2 else reversed(runs))
        }
        found.append(times["theirs"] / times["ours"])
    return found[1:]


def interval(values: list[float]) -> tuple[float, float]:
    """Bootstrap interval of the median, 95 %."""
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
    print(f"batch {options.batch}, {options.pairs} pairs; theirs / ours")
    for name, make, side in CASES:
        torch.manual_seed(0)
        theirs = make()
        ours = load_reference_weights(name, theirs.state_dict())
        images = torch.randn(options.batch, 3, side, side)  # (N, C, H, W)
        for backward in (False, True):
            pair = (theirs.train(backward), ours.train(backward))
            found = ratios(pair, images, options.pairs, backward=backward)
            low, high = interval(found)
            label = "forward and backward" if backward else "forward"
            print(f"{name:14}{label:22}{median(found):6.3f}  [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
