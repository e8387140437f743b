"""What a fresh child costs a trial: the same training first and second in one child, in processor seconds.

The first is as every trial of a search is; the second is as it would be if a child served several jobs. Processor time
is counted from the child's fork, so that other programs on the machine don't count.

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
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas import assembly
from nas.config import compose
from nas.executing import executor_for
from nas.jobs import Control, Job, Outcome
from nas.proposer import training_seed
from nas.runner import TrialRunner

TIMES = "times"


@dataclass(frozen=True)
class Twice:
    """Carries a job out twice and writes down when each ended, in the process's own seconds."""

    runner: TrialRunner

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`, and run it again."""
        outcome = self.runner(job, control)
        first = time.process_time()
        self.runner(replace(job, folder=job.folder / "again"), control)
        (job.folder / TIMES).write_text(f"{first} {time.process_time() - first}", encoding="ascii")
        return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    config: Any = compose("search", [f"training.epochs={arguments.epochs}", "workers.slots=1"])
    _, space = assembly.prepare(config)
    executor = executor_for(Twice(TrialRunner(config.data, config.training, 1)), config.workers)
    generator, pairs = random.Random(0), []
    with tempfile.TemporaryDirectory() as name:
        for number in range(arguments.trials + 1):  # the first child copies what the fork server has not yet settled
            architecture, folder = space.draw(generator), Path(name) / str(number)
            seed = training_seed(0, architecture.id)
            executor.submit(
                Job(number, 1, architecture.to_json(), seed, 0, arguments.epochs, folder), lambda _, __: None
            )
            while not executor.wait(1.0):
                pass
            first, second = map(float, (folder / TIMES).read_text(encoding="ascii").split())
            pairs.append((first, second))
    executor.close()
    costs = [first - second for first, second in pairs[1:]]
    shares = [(first - second) / first for first, second in pairs[1:]]
    print(
        f"a fresh child costs {statistics.median(costs):.3f} s [{min(costs):.3f}, {max(costs):.3f}], "
        f"{statistics.median(shares):.1%} [{min(shares):.1%}, {max(shares):.1%}] of a trial of "
        f"{statistics.median(first for first, _ in pairs[1:]):.2f} s "
        f"(processor, n={len(costs)}, {arguments.epochs} epochs)"
    )
    print(f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
