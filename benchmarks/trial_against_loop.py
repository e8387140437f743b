"""Processor seconds of a trial, against a plain training loop of the same network and batches.

Both sides build the network, train it with the same batches, optimizer and schedule, validate after each epoch, and
write network and optimizer to a file. The plain loop is what a person writes: `torch.save`, and sums of losses taken
from the tensors at every step. One thread; pairs in alternating order; the ratio of each pair, median and interval.

    python benchmarks/trial_against_loop.py [--repeats 9] [--epochs 4] [--cases 2k 30k 300k]
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional
from training_cases import CASES, loaders, median_with_interval, paired, train

from nas.config.training import Recipe
from nas.data import ImageData
from search_space.architecture import Architecture
from search_space.lowering import lower
from search_space.network import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe(epochs=arguments.epochs)
    table = Table(title=f"n={arguments.repeats}, one thread, {arguments.epochs} epochs, load {os.getloadavg()[0]:.1f}")
    for column in ("network", "steps", "trial, ms a step", "loop, ms a step", "ratio"):
        table.add_column(column, justify="right")
    for name in arguments.cases:
        case = CASES[name]
        architecture, data = case.architecture(), case.data()
        steps = recipe.epochs * len(loaders(data, recipe, 0).train_loader)
        pairs = paired(
            lambda folder, a=architecture, d=data: train(d, a, recipe, [0], folder),
            partial(plain_loop, data, architecture, recipe),
            arguments.repeats,
        )
        each = [median_with_interval([1000 * pair[side] / steps for pair in pairs]) for side in (0, 1)]
        table.add_row(name, str(steps), *each, median_with_interval([ours / loop for ours, loop in pairs]))
    Console().print(table)


def plain_loop(data: ImageData, architecture: Architecture, recipe: Recipe, folder: Path) -> None:
    """Train a network in a plain loop."""
    given = loaders(data, recipe, 0)
    torch.manual_seed(0)
    network = build(lower(architecture)).to(memory_format=torch.channels_last)
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    rate, momentum = recipe.learning_rate, recipe.momentum
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=True, fused=True)
    steps = recipe.epochs * len(given.train_loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=recipe.warmup, cycle_momentum=False
    )
    for epoch in range(recipe.epochs):
        network.train()
        given.train_loader.set_epoch(epoch)
        total = 0.0
        for images, labels in given.train_loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(images.contiguous(memory_format=torch.channels_last)), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        validate(network, given.val_loader)
        path = folder / f"{epoch}.pt"
        with path.with_suffix(".part").open("wb") as file:
            torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, file)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".part").rename(path)
        if epoch:
            (folder / f"{epoch - 1}.pt").unlink()


@torch.no_grad()
def validate(network: torch.nn.Module, batches: object) -> tuple[float, int]:
    """Return the summed loss and the number of images that are right."""
    network.eval()
    total, right = 0.0, 0
    for images, labels in batches:  # type: ignore[attr-defined]
        logits = network(images.contiguous(memory_format=torch.channels_last))
        total += functional.cross_entropy(logits, labels, reduction="sum").item()
        right += int((logits.argmax(dim=1) == labels).sum())
    return total, right


if __name__ == "__main__":
    main()
