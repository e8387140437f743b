"""Two CPU slots against one: the same trials, one thread each, in turns; throughput, and how long slots wait.

Whole searches with real trainings over the embedded digits, drawn at random with one seed, so that both arms train the
same networks. The fork server is warm before the first round. A slot is idle from the outcome of its job to the start
of the next one, while trials remain to be handed out. The interval is a bootstrap of the median of the rounds' ratios.

    python benchmarks/slots.py [--rounds 5] [--trials 16] [--epochs 6]
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nas import assembly, executing
from nas.config import compose
from nas.jobs import Job, Outcome
from nas.workers.local import LocalExecutor, LocalHandle, OnEpoch

ARMS = (1, 2)
RESAMPLES = 10_000

# Children import the main program once more. That of `nas` is light, and this one shall not cost them anything either.
executing.PRELOADED = ("nas.assembly", "nas.config", "rich.table", *executing.PRELOADED)


class Clock:
    """When jobs begin and end on an executor."""

    def __init__(self, executor: LocalExecutor) -> None:
        self.spans: dict[tuple[int, int], list[float]] = {}
        self._submit, self._wait = executor.submit, executor.wait
        executor.submit, executor.wait = self.submit, self.wait  # type: ignore[method-assign]  # measured, not changed

    def submit(self, job: Job, on_epoch: OnEpoch) -> LocalHandle:
        """Hand a job on."""
        self.spans[job.trial, job.attempt] = [time.perf_counter()]
        return self._submit(job, on_epoch)

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Hand outcomes on."""
        outcomes = self._wait(timeout)
        for outcome in outcomes:
            self.spans[outcome.job.trial, outcome.job.attempt].append(time.perf_counter())
        return outcomes

    def idle(self, slots: int) -> float:
        """Share of the slots' time without a job, from the first job to the start of the last one."""
        begin, end = (pick(began for began, _ in self.spans.values()) for pick in (min, max))
        busy = sum(min(ended, end) - began for began, ended in self.spans.values())
        return 1.0 - busy / (slots * (end - begin))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    _search(1, 2, 1)  # starts the fork server and decodes the images
    table = Table(title=f"{arguments.trials} trials of {arguments.epochs} epochs, one thread each")
    for heading in ("round", "1 slot (s)", "2 slots (s)", "ratio", "idle, 1 slot", "idle, 2 slots", "load"):
        table.add_column(heading, justify="right")
    ratios, idles = [], []
    for number in range(arguments.rounds):
        order = ARMS if number % 2 == 0 else ARMS[::-1]
        measured = {slots: _search(slots, arguments.trials, arguments.epochs) for slots in order}
        (one, idle_one), (two, idle_two) = measured[1], measured[2]
        ratios.append(one / two)
        idles.append(idle_two)
        cells = (f"{one:.1f}", f"{two:.1f}", f"{one / two:.2f}", f"{idle_one:.1%}", f"{idle_two:.1%}")
        table.add_row(str(number + 1), *cells, f"{os.getloadavg()[0]:.1f}")
    console = Console()
    console.print(table)
    low, high = _interval(ratios)
    console.print(
        f"throughput of 2 slots to 1: median {statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}] "
        f"(95 %, n={len(ratios)}); "
        f"2 slots idle, median {statistics.median(idles):.1%}"
    )
    console.print(
        f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}, {os.cpu_count()} cores"
    )


def _search(slots: int, trials: int, epochs: int) -> tuple[float, float]:
    """Seconds of a search, and the share of them in which slots were idle while trials remained."""
    words = ["sampler=random", "tracking=none", "seed=1", "workers.keep=none", f"workers.slots={slots}"]
    config: Any = compose("search", [*words, f"budget.trials={trials}", f"training.epochs={epochs}"])
    info, space = assembly.prepare(config)
    with tempfile.TemporaryDirectory() as folder:
        search = assembly.assemble(config, assembly.open_or_create(Path(folder), config, info, space), space, [])
        clock = Clock(search._parts.executor)
        began = time.perf_counter()
        search.run()
        return time.perf_counter() - began, clock.idle(slots)


def _interval(ratios: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    generator = random.Random(0)
    medians = sorted(statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return medians[RESAMPLES // 40], medians[-RESAMPLES // 40]


if __name__ == "__main__":
    main()
