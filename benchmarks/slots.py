"""Throughput of two CPU slots against one, and the idle time of slots.

Searches with real trainings on the embedded digits run in alternating order, one thread a slot. Networks are drawn at
random with one seed, so that both arms train the same ones. The fork server is warm before the first round. The
interval is a bootstrap of the median of the rounds' ratios.

A slot is busy while its worker process runs a job, from reading the job to its outcome, by the worker's clock; a slower
first job in a fresh worker counts as busy (`child_start.py` measures that). All other time is idle: the transfer of the
outcome, the driver's work until it has stored it, asked for the next network and submitted its job, and the fork of a
worker. Idle time is counted until the last job begins, in two parts: until every slot has had its first job, and
afterwards.

At the end one slot waits for the other's last job. The bound on the ratio from this alone is printed beside the
measured one: the sum of the jobs' seconds over the makespan of the same jobs, each on the first free slot.

    python benchmarks/slots.py [--rounds 5] [--trials 16] [--epochs 12]
"""

from __future__ import annotations

import argparse
import heapq
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
from nas.jobs import Control, Job, Outcome, Runner
from nas.search import build, executors
from nas.workers import local

ARMS = (1, 2)
RESAMPLES = 10_000
NOTE = "span"

# Worker processes import the main module again. That of `nas` is light; this one is preloaded so that it costs nothing.
local.PRELOADED = ("nas.search.build", "nas.cli.app.compose", "rich.table", *local.PRELOADED)


@dataclass(frozen=True)
class Timed:
    """Runner that writes down when a job began and ended, by the monotonic clock."""

    runner: Runner

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`."""
        began = time.monotonic()
        outcome = self.runner(job, control)
        (job.folder / NOTE).write_text(f"{began} {time.monotonic()}", encoding="ascii")
        return outcome


@dataclass(frozen=True)
class Measured:
    """Seconds of a search, and the idle shares of its slots' time."""

    seconds: float
    idle: float
    first: float
    steady: float
    jobs: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    _search(1, 2, 1)  # starts the fork server and decodes the images
    table = Table(title=f"{arguments.trials} trials of {arguments.epochs} epochs, one thread each")
    for heading in ("round", "1 slot (s)", "2 slots (s)", "ratio", "1 idle", "2 idle", "first", "steady", "load"):
        table.add_column(heading, justify="right")
    rounds = []
    for number in range(arguments.rounds):
        order = ARMS if number % 2 == 0 else ARMS[::-1]
        measured = {slots: _search(slots, arguments.trials, arguments.epochs) for slots in order}
        one, two = measured[1], measured[2]
        rounds.append((one, two))
        cells = [f"{one.seconds:.1f}", f"{two.seconds:.1f}", f"{one.seconds / two.seconds:.2f}"]
        cells += [f"{share:.1%}" for share in (one.idle, two.idle, two.first, two.steady)]
        table.add_row(str(number + 1), *cells, f"{os.getloadavg()[0]:.1f}")
    ratios = [one.seconds / two.seconds for one, two in rounds]
    low, high = _interval(ratios)
    console = Console()
    console.print(table)
    console.print(
        f"throughput of 2 slots to 1: median {statistics.median(ratios):.2f} (95 %: {low:.2f} to {high:.2f}, "
        f"n={len(ratios)}), at most {statistics.median(_bound(one.jobs, 2) for one, _ in rounds):.2f} with these jobs; "
        f"2 slots idle, medians: {statistics.median(two.idle for _, two in rounds):.1%} while trials "
        f"remained, {statistics.median(two.steady for _, two in rounds):.1%} once both had had a job; "
        f"1 slot {statistics.median(one.idle for one, _ in rounds):.1%}"
    )
    console.print(
        f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}, {os.cpu_count()} cores"
    )


def _search(slots: int, trials: int, epochs: int) -> Measured:
    words = ["sampler=random", "fidelity=full", "tracking=none", "seed=1", "workers.keep=none"]
    config: Any = compose(
        "search", [*words, f"workers.slots={slots}", f"budget.trials={trials}", f"training.epochs={epochs}"]
    )
    plan = build.prepare(config)
    with tempfile.TemporaryDirectory() as folder:
        study = build.open_or_create(Path(folder), plan)
        build.executor_for = _timed_executor
        search = build.assemble(plan, study, [])
        began = time.monotonic()
        search.run()
        seconds = time.monotonic() - began
        spans = sorted(_span(path) for path in Path(folder).glob(f"trials/*/{NOTE}"))
    assert len(spans) == trials
    filled, last = spans[slots - 1][0], spans[-1][0]
    return Measured(
        seconds,
        idle=_idle(spans, slots, began, last),
        first=_idle(spans, slots, began, filled),
        steady=_idle(spans, slots, filled, last),
        jobs=tuple(ended - began for began, ended in spans),
    )


def _timed_executor(runner: Any, workers: Any) -> Any:
    return executors.executor_for(Timed(runner), workers)


def _span(path: Path) -> tuple[float, float]:
    began, ended = path.read_text(encoding="ascii").split()
    return float(began), float(ended)


def _idle(spans: Sequence[tuple[float, float]], slots: int, begin: float, end: float) -> float:
    """Return the share of the slots' time from `begin` to `end` in which no job ran."""
    busy = sum(max(0.0, min(ended, end) - max(began, begin)) for began, ended in spans)
    return 1.0 - busy / (slots * (end - begin))


def _bound(jobs: Sequence[float], slots: int) -> float:
    """Return the largest throughput of `slots` slots to one, limited by the wait for the last job alone."""
    free = [0.0] * slots
    for job in jobs:
        heapq.heapreplace(free, free[0] + job)
    return sum(jobs) / max(free)


def _interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the bootstrap interval of the median, 95 %."""
    generator = random.Random(0)
    medians = sorted(statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return medians[RESAMPLES // 40], medians[-RESAMPLES // 40]


if __name__ == "__main__":
    main()
