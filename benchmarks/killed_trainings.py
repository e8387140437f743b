"""Trainings whose processes are killed at random moments, against unbroken ones.

A driver in a process of its own trains a few networks over several seeds, one by one and in packs, as retraining does.
It and its workers are killed (SIGKILL) after a random time, over and over, and started again until everything is
trained. Then every number of every last checkpoint (weights, optimizer, averages) must be that of an unbroken run, bit
for bit. Trained on digits, on the CPU, with the averaged weights, clipping and augmentation of a full recipe.

    python benchmarks/killed_trainings.py [--kills 12] [--seeds 4] [--networks 2] [--epochs 12]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from nas.cli.app.compose import compose
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data import describe
from nas.evaluation.training_list import Rules, TrainingList
from nas.evaluation.trial_runner import TrialRunner
from nas.search.build import space_for
from nas.training.checkpoint import load
from nas.training.checkpoint_folder import by_epoch, latest
from nas.workers.local.executor import LocalExecutor

DATA = DataSpec(crop_padding=1)
PACKS = {"alone": 1, "packs": 8}


@dataclass(frozen=True)
class Training:
    """Task of a list of trainings, done once its last checkpoint is there."""

    number: int
    architecture: Mapping[str, Any]
    seed: int
    folder: Path
    epochs: int
    devices: int = 1

    @property
    def label(self) -> str:
        """Network and seed."""
        return f"network {self.number} seed {self.seed}"

    @property
    def done(self) -> bool:
        """True if it is trained in full."""
        found = latest(self.folder)
        return found is not None and found[1] == self.epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of a driver
    parser.add_argument("--pack", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        drive(arguments)
        return
    table = Table("trainings", "kills", "of these in a training", "checkpoints", "equal bit for bit")
    different = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, pack in PACKS.items():
            broken, whole = Path(scratch) / f"{name}-killed", Path(scratch) / f"{name}-whole"
            inside = killed(arguments, pack, broken)
            run(arguments, pack, whole).wait()
            names = [task.folder.name for task in tasks(arguments, whole)]
            equal = sum(same(last_state(broken / each), last_state(whole / each)) for each in names)
            table.add_row(name, str(arguments.kills), str(inside), str(len(names)), str(equal))
            different += len(names) - equal
    Console().print(table)
    if different:
        raise SystemExit(f"{different} checkpoints differ")


def killed(arguments: argparse.Namespace, pack: int, folder: Path) -> int:
    """Train with kills at random moments; return the number of kills at which some training had begun."""
    generator, inside = random.Random(pack), 0
    for _ in range(arguments.kills):
        process = run(arguments, pack, folder)
        before = checkpoints(folder)
        began = time.monotonic()
        while checkpoints(folder) == before and process.poll() is None and time.monotonic() - began < 60:
            time.sleep(0.01)
        time.sleep(generator.random() * 2)
        inside += any(not task.done for task in tasks(arguments, folder)) and bool(checkpoints(folder))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.5)  # workers that outlive their driver end by themselves
    while run(arguments, pack, folder).wait():
        pass
    return inside


def run(arguments: argparse.Namespace, pack: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a driver in a process group of its own."""
    sizes = [f"--{name}={getattr(arguments, name)}" for name in ("seeds", "networks", "epochs")]
    command = [sys.executable, __file__, f"--folder={folder}", f"--pack={pack}", *sizes]
    return subprocess.Popen(command, start_new_session=True)


def drive(arguments: argparse.Namespace) -> None:
    """Train what is not trained yet."""
    recipe = Recipe(epochs=arguments.epochs, ema_decay=0.99, gradient_clip=5.0, label_smoothing=0.1)
    executor = LocalExecutor(TrialRunner(DATA, recipe, 1, "cpu"), [None], preload=("nas.evaluation.trial_runner",))
    rules = Rules(recipe.epochs, retries=5, pack=lambda _: arguments.pack)
    trainings = TrainingList(executor, tasks(arguments, arguments.folder), rules, epochs=by_epoch)
    trainings.run()
    if trainings.failures:
        raise SystemExit(str(trainings.failures))


def tasks(arguments: argparse.Namespace, folder: Path) -> list[Training]:
    """Return the trainings."""
    space = space_for(compose("search", []).space, describe(DATA))
    drawn = [space.draw(random.Random(number)).to_json() for number in range(arguments.networks)]
    return [
        Training(number, architecture, seed, folder / f"{number}-{seed}", arguments.epochs)
        for seed in range(arguments.seeds)
        for number, architecture in enumerate(drawn)
    ]


def checkpoints(folder: Path) -> set[Path]:
    """Return the checkpoints of all trainings."""
    return set(folder.glob("*/attempt*.pt"))


def last_state(folder: Path) -> dict[str, Any]:
    """Return the state of the newest checkpoint."""
    found = latest(folder)
    assert found is not None
    return dict(vars(load(found[0], {}).state))


def same(first: Any, second: Any) -> bool:
    """Return whether two values are equal, tensors bit for bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(value, second[name]) for name, value in first.items())
    return bool(first == second)


if __name__ == "__main__":
    main()
