"""Idle time of many slots under one driver, with simulated jobs and a real study in SQLite.

Jobs take ten seconds of wall-clock time and no processor; asks, limits, storage and log are real. A slot is idle from
the end of its job to the start of the next one, counted until the last job starts. The time after the first round, in
which the driver fills the slots one after the other, has a column of its own.

    python benchmarks/many_slots.py [--slots 64] [--sampler tpe] [--rounds 5] [--seconds 10]
"""

from __future__ import annotations

import argparse
import heapq
import io
import itertools
import os
import platform
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.cli.app.compose import compose
from nas.jobs import Epoch, Job, Outcome
from nas.reports.console import LineObserver
from nas.search import build
from nas.search.driver import Search
from nas.search.parts import SearchParts

EPOCHS = 10
SPREAD = 0.2


@dataclass(frozen=True)
class Span:
    """Start and end of a job in seconds."""

    began: float
    due: float


@dataclass
class SimulatedHandle:
    """Handle of a running job."""

    job: Job

    def stop_after_epoch(self) -> None:
        """Do nothing: the job ends by itself."""

    def kill(self) -> None:
        """Do nothing: no process runs."""


class SimulatedExecutor:
    """Executor whose jobs take about `seconds` each and report every epoch."""

    def __init__(self, slots: int, seconds: float) -> None:
        self.slots = slots
        self.spans: list[Span] = []
        self._seconds = seconds
        self._generator = random.Random(0)
        self._events: list[tuple[float, int, Job, int, Callable[[Job, Epoch], None]]] = []
        self._order = itertools.count()

    def submit(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> SimulatedHandle:
        """Start a job."""
        now = time.perf_counter()
        took = self._seconds * self._generator.uniform(1 - SPREAD, 1 + SPREAD)
        self.spans.append(Span(now, now + took))
        for epoch in range(1, EPOCHS + 1):
            heapq.heappush(self._events, (now + took * epoch / EPOCHS, next(self._order), job, epoch, on_epoch))
        return SimulatedHandle(job)

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Sleep until the first job ends, at most `timeout` seconds, and return the outcomes that are due."""
        until = time.perf_counter() + timeout
        while self._events:
            time.sleep(max(0.0, min(self._events[0][0], until) - time.perf_counter()))
            outcomes = self._due(time.perf_counter())
            if outcomes or time.perf_counter() >= until:
                return outcomes
        return []

    def _due(self, now: float) -> list[Outcome]:
        outcomes = []
        while self._events and self._events[0][0] <= now:
            _, _, job, epoch, on_epoch = heapq.heappop(self._events)
            on_epoch(job, _row(job, epoch))
            if epoch == EPOCHS:
                outcomes.append(Outcome(job, tuple(_row(job, n) for n in range(1, EPOCHS + 1)), None))
        return outcomes

    def close(self) -> None:
        """Do nothing: no process runs."""


def _row(job: Job, epoch: int) -> Epoch:
    accuracy = 0.5 + 0.4 * random.Random(job.seed).random() + 0.01 * epoch
    return Epoch(epoch, 1.0, 1.0, accuracy, accuracy, 1.0)


def idle_share(spans: Sequence[Span], slots: int, begin: float) -> float:
    """Return the share of the slots' time without a job, from `begin` to the start of the last job."""
    end = max(span.began for span in spans)
    busy = sum(max(0.0, min(span.due, end) - max(span.began, begin)) for span in spans)
    return 1.0 - busy / (slots * (end - begin))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--slots", type=int, nargs="+", default=[64])
    parser.add_argument("--sampler", nargs="+", default=["random", "tpe"])
    parser.add_argument("--rounds", type=int, default=5, help="trials a slot")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a job")
    arguments = parser.parse_args()
    table = Table(title=f"Simulated jobs of {arguments.seconds:g} s ± {SPREAD:.0%}, {arguments.rounds} a slot, SQLite")
    for heading in (
        "sampler",
        "slots",
        "idle, whole",
        "idle after the first round",
        "trials/s",
        "driver ms/trial",
        "load",
    ):
        table.add_column(heading, justify="right")
    for sampler, slots in itertools.product(arguments.sampler, arguments.slots):
        table.add_row(*_measure(sampler, slots, slots * arguments.rounds, arguments.seconds))
    console = Console()
    console.print(table)
    console.print(
        f"Python {platform.python_version()}, Optuna {version('optuna')}, {platform.machine()}, {os.cpu_count()} cores"
    )


def _measure(sampler: str, slots: int, trials: int, seconds: float) -> list[str]:
    executor = SimulatedExecutor(slots, seconds)
    with tempfile.TemporaryDirectory() as folder:
        search = _search(Path(folder), sampler, trials, executor)
        before, began = _processor_seconds(), time.perf_counter()
        search.run()
    processor = _processor_seconds() - before
    last = max(span.began for span in executor.spans)
    filled = executor.spans[min(slots, len(executor.spans)) - 1].began
    return [
        sampler,
        str(slots),
        f"{idle_share(executor.spans, slots, began):.1%}",
        f"{idle_share(executor.spans, slots, filled):.1%}",
        f"{len(executor.spans) / (last - began):.2f}",
        f"{1e3 * processor / trials:.0f}",
        f"{os.getloadavg()[0]:.1f}",
    ]


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _search(folder: Path, sampler: str, trials: int, executor: SimulatedExecutor) -> Search:
    words = [f"sampler={sampler}", "fidelity=full"]
    config: Any = compose("search", [*words, f"budget.trials={trials}", f"training.epochs={EPOCHS}"])
    plan = build.prepare(config)
    study = build.open_or_create(folder, plan)
    parts = SearchParts(
        study=study,
        view=plan.built.view,
        proposer=plan.built.proposer,
        policy=plan.built.policy,
        executor=executor,
        values=plan.built.values,
        latest=lambda _: None,
        observers=[LineObserver(Console(file=io.StringIO()))],
    )
    return Search(parts, config.budget, epochs=EPOCHS)


if __name__ == "__main__":
    main()
