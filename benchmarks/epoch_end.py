"""Costs of an epoch's end: the checkpoint that a training waits for, and validation with folded batch norms.

Run: python benchmarks/epoch_end.py [--folder FOLDER] [--rounds 15]

Checkpoints: an archive written tensor by tensor (format 1), waited for until it is on the disk, against the copy into
one buffer that a training waits for now, and the thread that writes it. Validation: the network in evaluation mode
against the folded one, folding included, on two batches. Both sides take turns in one process on one thread. Ratios are
medians of the rounds' own with bootstrap intervals of 95 %.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from nas.config.training import Recipe
from nas.jobs import Epoch
from nas.jobs.files import atomic_path
from nas.training.checkpoint import TrainingState
from nas.training.checkpoint_folder import Place
from nas.training.checkpoint_writer import CheckpointWriter
from nas.training.folded import FoldedNetwork
from nas.training.optimizer import make_optimizer
from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.network import Network, build

SIZES = {"2k": (4, 1, 16), "30k": (11, 2, 16), "300k": (36, 2, 32), "5M": (150, 2, 32)}
"""Width, blocks a stage and side of the images of each network."""

RESAMPLES = 2000
CURVE = tuple(Epoch(epoch, 1.0, 1.0, 0.5, 0.5, 1.0) for epoch in range(1, 13))
Times = tuple[float, float]


def network_of(width: int, blocks: int, side: int) -> Network:
    """Return a network of two stages of inception blocks, in channels-last memory."""
    half = max(1, width // 2)
    branches = (Branch("k1", width), Branch("k3", width), Branch("k5", half), Branch("pool", half))
    stages = tuple(Stage((Block("inception", branches),) * blocks) for _ in range(2))
    network = build(lower(Architecture(Shape(3, side, side), 10, Stem(width), stages, 0.0)))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    return network


def timed(work: Callable[[], object]) -> Times:
    """Return wall-clock and processor milliseconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)


def write_archive(path: Path, state: TrainingState) -> None:
    content = {"format": 1, "identity": {}, **vars(state), "curve": [row.to_json() for row in CURVE]}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def checkpoint_rounds(network: Network, folder: Path, rounds: int) -> list[tuple[Times, Times, Times]]:
    """Return the times of a whole write, and of copy and write, a round."""
    optimizer = make_optimizer(network, Recipe())
    images = torch.randn(2, 3, 32, 32)
    network.train()(images).sum().backward()
    optimizer.step()
    writer = CheckpointWriter(Place(folder, 1), {})

    def state() -> TrainingState:
        return TrainingState(network.state_dict(), optimizer.state_dict()["state"], None, {})

    def copy() -> None:
        writer.take(state())
        writer.write(CURVE, lambda *_: None)

    copy()
    writer.wait()
    found = []
    for number in range(rounds):
        whole = [timed(lambda: write_archive(folder / "whole.pt", state()))] if number % 2 else []
        parts = timed(copy), timed(writer.wait)
        whole = whole or [timed(lambda: write_archive(folder / "whole.pt", state()))]
        found.append((whole[0], *parts))
    return found


@torch.inference_mode()
def validation_rounds(network: Network, side: int, rounds: int) -> list[tuple[float, float, float]]:
    """Return processor milliseconds of the network, of the folded one, and of the folding, a round."""
    network.eval()
    folded = FoldedNetwork(network)
    images = 256 if side < 32 else 64
    batches = [torch.randn(images, 3, side, side).contiguous(memory_format=torch.channels_last) for _ in range(2)]

    def scored(model: Callable[[Tensor], Any]) -> float:
        return timed(lambda: [model(batch) for batch in batches])[1]

    scored(network)
    scored(folded)
    found = []
    for number in range(rounds):
        first = scored(network) if number % 2 else None
        fold, second = timed(folded.refresh)[1], scored(folded)
        found.append((first if first is not None else scored(network), second, fold))
    return found


def interval(ratios: list[float]) -> str:
    """Return the median with its bootstrap interval."""
    generator = random.Random(0)
    medians = sorted(median(generator.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    low, high = medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)]
    return f"{median(ratios):.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, n={arguments.rounds}, load {os.getloadavg()[0]:.1f}")
    print("checkpoint, ms: a whole write (processor) | now waited for (processor in all) | on the disk after | ratio")
    networks = {name: network_of(*size) for name, size in SIZES.items()}
    for network in networks.values():
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            found = checkpoint_rounds(network, Path(folder), arguments.rounds)
        whole, whole_cpu = (median(row[0][which] for row in found) for which in (0, 1))
        waited, on_disk = median(row[1][0] for row in found), median(row[1][0] + row[2][0] for row in found)
        both = median(row[1][1] + row[2][1] for row in found)
        params = sum(parameter.numel() for parameter in network.parameters())
        ratio = interval([row[1][0] / row[0][0] for row in found])
        print(f"{params:>9,} {whole:7.1f} ({whole_cpu:.1f}) | {waited:5.2f} ({both:.1f}) | {on_disk:6.1f} | {ratio}")
    print("validation, processor ms for two batches: plain | folded | folding | ratio with folding")
    for name, network in list(networks.items())[:3]:
        rounds = validation_rounds(network, SIZES[name][2], arguments.rounds)
        plain, folded, folding = (median(row[which] for row in rounds) for which in range(3))
        params = sum(parameter.numel() for parameter in network.parameters())
        ratio = interval([(row[1] + row[2]) / row[0] for row in rounds])
        print(f"{params:>9,} {plain:8.1f} | {folded:8.1f} | {folding:4.2f} | {ratio}")


if __name__ == "__main__":
    main()
