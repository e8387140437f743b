"""Cost of a fresh worker process a trial, against workers that are reused.

All arms run the same trainings in random order. Times are processor seconds, which other programs on the machine change
little: of each training from the end of the one before it in the same process, or from the fork. So the fork, its
copy-on-write and the clean-up between two trainings are included. The third arm is the default, which keeps a process
if its start has cost more than 5 %.

    python benchmarks/child_start.py [--trials 10] [--epochs 12]
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
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.cli.app.compose import compose
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Control, Executor, Job, Outcome
from nas.search import build, executors
from nas.search.proposer import training_seed
from nas.workers import local

ARMS = ("1", "50", "auto")
NOTE = "times"

# Worker processes import the main module again. That of `nas` is light; this one is preloaded so that it costs nothing.
local.PRELOADED = ("nas.search.build", "nas.cli.app.compose", "rich.table", *local.PRELOADED)


@dataclass(frozen=True)
class Timed:
    """Runner that writes down the process of a job, and the processor seconds of the process at its end."""

    runner: TrialRunner

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`."""
        outcome = self.runner(job, control)
        (job.folder / NOTE).write_text(f"{os.getpid()} {time.process_time()}", encoding="ascii")
        return outcome


@dataclass
class Arm:
    """Trainings with one setting of `workers.jobs_per_child`."""

    executor: Executor
    folder: Path
    spent: list[tuple[int, float]]

    def train(self, job: Job) -> None:
        """Run a job and record its process and the process' processor seconds at its end."""
        self.executor.submit(job, lambda _, __: None)
        while not self.executor.wait(1.0):
            pass
        pid, seconds = (job.folder / NOTE).read_text(encoding="ascii").split()
        self.spent.append((int(pid), float(seconds)))

    @property
    def seconds(self) -> list[float]:
        """Processor seconds of each training."""
        before = [(0, 0.0), *self.spent]
        return [
            now - (then if pid == last else 0.0) for (last, then), (pid, now) in zip(before, self.spent, strict=False)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        arms = _measure(Path(name), arguments.trials, arguments.epochs)
    table = Table(
        title=f"{arguments.trials} trainings of {arguments.epochs} epochs of digits, one thread, processor seconds"
    )
    for heading in ("jobs a child", "children", "a training", "more than with 50"):
        table.add_column(heading, justify="right")
    for name, arm in arms.items():
        more = [a / b - 1 for a, b in zip(arm.seconds[1:], arms["50"].seconds[1:], strict=True)]
        table.add_row(
            name, str(len({pid for pid, _ in arm.spent})), _spread(arm.seconds[1:], ".2f"), _spread(more, ".1%")
        )
    console = Console()
    console.print(table)
    console.print(
        f"median [least, most], n={arguments.trials - 1}: the first training of each arm is left out", markup=False
    )
    console.print(
        f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def _measure(folder: Path, trials: int, epochs: int) -> dict[str, Arm]:
    arms = {}
    for name in ARMS:
        words = [f"training.epochs={epochs}", "workers.slots=1", f"workers.jobs_per_child={name}"]
        config: Any = compose("search", words)
        runner: Any = Timed(TrialRunner(config.data, config.training, 1))
        arms[name] = Arm(executors.executor_for(runner, config.workers), folder / name, [])
    space = build.prepare(config).space
    generator = random.Random(0)
    for number in range(trials):
        architecture = space.draw(generator)
        seed = training_seed(0, architecture.id)
        for arm in random.Random(number).sample(list(arms.values()), len(arms)):
            arm.train(Job(number, 1, architecture.to_json(), seed, 0, epochs, arm.folder / str(number)))
    for arm in arms.values():
        arm.executor.close()
    return arms


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


if __name__ == "__main__":
    main()
