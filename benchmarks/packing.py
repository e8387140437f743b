"""Trainings an hour of packs, against trainings one by one.

Each pair trains the same networks with the same seeds, one by one and in packs, in turn. Times are processor seconds of
whole trials on one thread: building, training, validation, checkpoints. The images are random. The row `table` trains
and tests networks of the digits table as `nas tabulate` does, three seeds each, one by one and in packs of three.
`--steps` prints the share of a step that a member of a pack takes, by size of network and pack; the rule in
nas/workers/packing.py is taken from it.

    python benchmarks/packing.py [--repeats 7] [--epochs 3] [--cases 2k 30k table] [--steps]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional
from training_cases import CASES, CLASSES, Case, NullControl, median_with_interval, paired, train

from nas.cli.app.compose import compose
from nas.config.training import Recipe
from nas.data import ImageData, describe
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job
from nas.search.build import space_for
from nas.tabular.tabulate.runner import TableRunner
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.lowering import lower
from search_space.network import build
from search_space.packing import PackedNetwork, pack_images

SIZES = (2, 4, 8)
TABLE, TABLE_SEEDS = "table", 3
STEPS = 3
STEP_CASES = (
    Case("2k", "quick", (1, 8, 8), 2_000, 0),
    Case("30k", "quick", (1, 8, 8), 30_000, 0),
    Case("2k", "quick", (3, 16, 16), 2_000, 0),
    Case("30k", "quick", (3, 16, 16), 30_000, 0),
    Case("10k", "quick", (3, 16, 16), 10_000, 0),
    Case("2k", "quick", (3, 32, 32), 2_000, 0),
    Case("30k", "quick", (3, 32, 32), 30_000, 0),
    Case("10k", "quick", (3, 32, 32), 10_000, 0),
    Case("100k", "cifar", (3, 16, 16), 100_000, 0),
    Case("100k", "cifar", (3, 32, 32), 100_000, 0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--networks", type=int, default=4, help="networks of the digits table")
    parser.add_argument("--cases", nargs="+", default=["2k", "30k", TABLE], choices=[*CASES, TABLE])
    parser.add_argument("--steps", action="store_true", help="shares of a step by size of network and pack")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    if arguments.steps:
        console.print(step_shares(arguments.repeats))
        return
    title = f"trainings an hour in packs over one by one; n={arguments.repeats}, load {os.getloadavg()[0]:.1f}"
    table = Table("trainings", "pack", "ratio", title=title)
    recipe = Recipe(epochs=arguments.epochs)
    for name, size in ((name, size) for name in arguments.cases if name != TABLE for size in (4, 8)):
        case = CASES[name]
        data, architecture = case.data(), case.architecture()
        pairs = paired(
            partial(one_by_one, data, architecture, recipe, size),
            lambda folder, a=architecture, d=data, k=size: train(d, a, recipe, range(k), folder),
            arguments.repeats,
        )
        table.add_row(name, str(size), median_with_interval([alone / packed for alone, packed in pairs]))
    if TABLE in arguments.cases:
        alone, packed = table_works(arguments.networks)
        pairs = paired(alone, packed, arguments.repeats)
        table.add_row(TABLE, str(TABLE_SEEDS), median_with_interval([first / second for first, second in pairs]))
    console.print(table)


def one_by_one(data: ImageData, architecture: Architecture, recipe: Recipe, count: int, folder: Path) -> None:
    """Train a network with some seeds, one after another."""
    for seed in range(count):
        train(data, architecture, recipe, [seed], folder)


def table_works(networks: int) -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    """Return the works of random networks of the digits table, one by one and in packs."""
    config = compose("tabulate", ["experiment=table_digits"])
    info = describe(config.data)
    space, generator = space_for(config.space, info), random.Random(0)
    drawn = [space.draw(generator) for _ in range(networks)]
    runner = TableRunner(TrialRunner(config.data, config.training, 1, "cpu"), info.test, info.test)

    def jobs(folder: Path, number: int) -> list[Job]:
        return [
            Job(
                trial=number,
                attempt=1,
                architecture=drawn[number].to_json(),
                seed=seed,
                from_epoch=0,
                to_epoch=config.training.epochs,
                folder=folder / f"{number}-{seed}",
            )
            for seed in range(TABLE_SEEDS)
        ]

    def run(job: Job) -> None:
        for member in job.members:
            member.folder.mkdir()
        outcome = runner(job, NullControl())
        if outcome.failed:
            raise RuntimeError(f"a training must end, got {outcome.failure}")

    def alone(folder: Path) -> None:
        for number in range(networks):
            for job in jobs(folder, number):
                run(job)

    def packed(folder: Path) -> None:
        for number in range(networks):
            first, *others = jobs(folder, number)
            run(Job(**{**vars(first), "pack": tuple(others)}))

    return alone, packed


def step_shares(repeats: int) -> Table:
    """Return the table of the shares of a step."""
    title = f"share of a training's step that a member of a pack takes; n={repeats}, load {os.getloadavg()[0]:.1f}"
    table = Table(
        "network", "images", "10⁶ MACs a step", "ms alone", *(f"pack of {size}" for size in SIZES), title=title
    )
    for case in STEP_CASES:
        architecture = case.architecture()
        steps = {size: step_of(case, architecture, size) for size in (1, *SIZES)}
        found: dict[int, list[float]] = {size: [] for size in steps}
        for _ in range(repeats):
            for size, step in steps.items():
                step()  # the caches held another size's numbers
                began = time.process_time()
                for _ in range(STEPS):
                    step()
                found[size].append((time.process_time() - began) / (STEPS * size))
        alone, batch = statistics.median(found[1]), Recipe().batch_size
        shares = [median_with_interval([each / alone for each in found[size]]) for size in SIZES]
        macs = f"{cost(lower(architecture)).macs * batch / 1e6:.1f}"
        table.add_row(case.name, "x".join(map(str, case.shape)), macs, f"{1000 * alone:.1f}", *shares)
    return table


def step_of(case: Case, architecture: Architecture, size: int) -> Callable[[], None]:
    """Return a training step of a pack, or of a network alone for size 1, after one step."""
    torch.manual_seed(0)
    networks = [build(lower(architecture)) for _ in range(size)]
    network = networks[0] if size == 1 else PackedNetwork(networks)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, fused=True)
    batch = Recipe().batch_size
    images = [torch.randn(batch, *case.shape) for _ in range(size)]
    labels = torch.arange(batch * size) % CLASSES

    def step() -> None:
        logits = network(pack_images(images))
        loss = functional.cross_entropy(logits.reshape(-1, CLASSES), labels, reduction="sum") / batch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step()
    return step


if __name__ == "__main__":
    main()
