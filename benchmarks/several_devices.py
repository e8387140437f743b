"""Seconds of a trial over several devices against the same trial on one, with whole batches and with micro-batches.

Jobs run one at a time, in random order of the arms. The first epoch of a job warms up and is not counted; the start is
the time until its end, less a later epoch's.

    python benchmarks/several_devices.py [--devices 2] [--epochs 6] [--repeats 5] [HYDRA OVERRIDES of nas search]
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.cli.app.compose import compose
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Epoch, Executor, Job
from nas.objectives.costs import built_in_costs
from nas.search import build, executors
from nas.workers import local
from search_space.architecture import Architecture
from search_space.space import Space

# Worker processes import the main module again. That of `nas` is light; this one is preloaded so that it costs nothing.
local.PRELOADED = ("nas.search.build", "nas.cli.app.compose", "rich.table", *local.PRELOADED)


@dataclass
class Arm:
    """Trainings with one setting.

    Attributes:
        devices: number of devices of a job.
        parts: number of micro-batches on each.
        starts: seconds from the submission of a job to the end of its first epoch, less a later epoch's.
        epochs: seconds of the later epochs.
        curves: training and validation losses of each job.
    """

    devices: int
    parts: int
    starts: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    curves: list[list[float]] = field(default_factory=list)

    def train(self, executor: Executor, job: Job) -> None:
        """Run a job and record its times."""
        ends = [time.perf_counter()]
        executor.submit(job, lambda _, __: ends.append(time.perf_counter()))
        while not (ended := executor.wait(1.0)):
            pass
        (outcome,) = ended
        assert outcome.failure is None, outcome.failure
        later = [after - before for before, after in pairwise(ends[1:])]
        self.epochs += later
        self.starts.append(ends[1] - ends[0] - statistics.median(later))
        self.curves.append([loss for row in outcome.curve for loss in _losses(row)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    arguments, words = parser.parse_known_args()
    count = arguments.devices
    config: Any = compose("search", [f"training.epochs={arguments.epochs}", f"workers.slots={count}", *words])
    space = build.prepare(config).space
    architecture = _largest(space)
    arms = {
        "one device": Arm(1, 1),
        f"one device, {count} parts": Arm(1, count),
        f"{count} devices": Arm(count, 1),
    }
    executor = executors.executor_for(TrialRunner(config.data, config.training, 1), config.workers)
    with tempfile.TemporaryDirectory() as name:
        for turn in range(-1, arguments.repeats):
            for place, arm in enumerate(random.Random(turn).sample(list(arms.values()), len(arms))):
                folder = Path(name) / f"{turn}-{place}"
                plain, epochs = architecture.to_json(), arguments.epochs
                job = Job(max(0, turn), 1, plain, 0, 0, epochs, folder, micro_batches=arm.parts, devices=arm.devices)
                if turn < 0:  # the fork server starts with the first job
                    Arm(1, 1).train(executor, job)
                else:
                    arm.train(executor, job)
        executor.close()
    _print(
        arms,
        f"{config.data.name}, batch {config.training.batch_size}, {_macs(architecture):,.0f} MACs",
    )


def _print(arms: dict[str, Arm], title: str) -> None:
    table = Table(title=title)
    for heading in ("", "ms an epoch", "s to start", "differs from parts"):
        table.add_column(heading, justify="right")
    parts = next(arm for arm in arms.values() if arm.parts > 1)
    for name, arm in arms.items():
        difference = max(abs(a - b) for a, b in zip(arm.curves[0], parts.curves[0], strict=True))
        epochs = [1000 * seconds for seconds in arm.epochs]
        table.add_row(name, _spread(epochs, ".0f"), _spread(arm.starts, ".2f"), f"{difference:.1e}")
    console = Console()
    console.print(table)
    console.print(f"median [least, most], n={len(parts.starts)} trainings an arm, in turns", markup=False)
    console.print("the last column is the largest difference of a training or validation loss", markup=False)
    console.print(
        f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def _losses(row: Epoch) -> tuple[float, float]:
    return row.train_loss, row.val_loss


def _macs(architecture: Architecture) -> float:
    return built_in_costs().of_architecture(architecture)["macs"]


def _largest(space: Space) -> Architecture:
    """Return the network with the most multiply–accumulates among 64 random ones."""
    generator = random.Random(0)
    return max(
        (space.draw(generator) for _ in range(64)), key=lambda drawn: built_in_costs().of_architecture(drawn)["macs"]
    )


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


if __name__ == "__main__":
    main()
