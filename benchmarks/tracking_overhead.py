"""Overhead of tracking: the same search without it, with it, and with a server that hangs or fails.

A real driver with a real study runs trials of a fixed time, epoch by epoch and without processor load, so that the
seconds show the delay by tracking. Its processor seconds, of the recording process and all that it starts, have a
column of their own. Every round runs each arm once, and begins with another one than the round before; the untracked
search runs twice in every round, and its second ratio shows the noise of the machine.

    python benchmarks/tracking_overhead.py [--rounds 8] [--trials 40] [--seconds 0.5] [--arms "hangs,500"]
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scipy.stats import t as student

from nas.cli.app.compose import compose
from nas.config.tracking import TrackingSpec
from nas.fidelity.full import Full
from nas.jobs import Epoch, Job, Outcome
from nas.objectives.limits import Limits
from nas.objectives.requirements import Requirements
from nas.objectives.values import objective_values
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.view import View
from nas.search import build
from nas.search.driver import Search
from nas.search.environment import environment
from nas.search.parts import SearchParts
from nas.search.proposer import Proposer
from nas.tracking.tracker import open_tracker

EPOCHS = 12
NONE = TrackingSpec(name="none")
OFFLINE = TrackingSpec(mode="offline")
ONLINE = TrackingSpec(mode="online", trials=True)
ARMS = {
    "none": (NONE, "hang"),
    "none again": (NONE, "hang"),
    "offline": (OFFLINE, "hang"),
    "offline, a run a trial": (TrackingSpec(mode="offline", trials=True), "hang"),
    "online, the server hangs": (ONLINE, "hang"),
    "online, the server answers 500": (ONLINE, "broken"),
    "mlflow": (TrackingSpec(name="mlflow", trials=True), "hang"),
    "tensorboard": (TrackingSpec(name="tensorboard", trials=True), "hang"),
}
COLUMNS = {"search": "search (s)", "whole": "with start and end (s)"}
Measured = Mapping[str, float]


class SleepingExecutor:
    """Executor with one slot whose jobs sleep in every epoch and reach an accuracy derived from their seed."""

    slots = 1
    job: Job

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rows: list[Epoch] = []

    def submit(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> SleepingExecutor:
        """Accept the job."""
        self.job, self._on_epoch, self._rows = job, on_epoch, []
        return self

    def wait(self, timeout: float) -> Sequence[Outcome]:  # noqa: ARG002
        """Sleep for an epoch and report it; after the last one, return the job's outcome."""
        time.sleep(self._seconds / EPOCHS)
        accuracy = 0.5 + 0.5 * (self.job.seed % 1000) / 1000
        row = Epoch(len(self._rows) + 1, 1.0, 1.0, accuracy, accuracy, 0.1)
        self._rows.append(row)
        self._on_epoch(self.job, row)
        return [Outcome(self.job, tuple(self._rows), None)] if len(self._rows) == EPOCHS else []

    def close(self) -> None:
        """Do nothing: no job runs."""


class BadServer(BaseHTTPRequestHandler):
    """Request handler that never answers, or answers 500."""

    mode = "hang"

    def do_POST(self) -> None:
        """Hang or answer 500, by `mode`."""
        if self.mode == "hang":
            threading.Event().wait()
        self.send_error(500)

    do_GET = do_PUT = do_POST  # noqa: N815 - named by the base class

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def bad_server() -> Iterator[None]:
    """Start such a server on the loopback address, and set its URL and a key in the environment."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BadServer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {"WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_API_KEY": "k" * 40}
    yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a trial")
    parser.add_argument("--arms", default="", help="parts of the names of arms, separated by commas; empty for all")
    options = parser.parse_args()
    wanted = [part for part in options.arms.split(",") if part]
    arms = [arm for arm in ARMS if arm.startswith("none") or not wanted or any(part in arm for part in wanted)]
    runs: dict[str, list[Measured]] = {arm: [] for arm in arms}
    with bad_server():
        for number in range(options.rounds):
            for place in range(len(arms)):
                arm = arms[(number + place) % len(arms)]
                spec, BadServer.mode = ARMS[arm]
                runs[arm].append(_timed(spec, options.trials, options.seconds))
    _print(runs, f"{options.trials} trials of {options.seconds} s, n = {options.rounds} rounds, intervals of 95 %")


def _timed(spec: TrackingSpec, trials: int, seconds: float) -> Measured:
    """Return the seconds of one search, of it with start and end of tracking, and of the processor."""
    words = ["sampler=random", "fidelity=full"]
    config = compose("search", [*words, f"budget.trials={trials}", f"training.epochs={EPOCHS}"])
    plan = build.prepare(config)
    with tempfile.TemporaryDirectory() as folder:
        study = build.open_or_create(Path(folder), plan)
        sampler = sampler_factory(config.sampler, Domain(plan.space, study.axes))
        view = View(plan.space, study.axes, sampler, seed=0, worst=False)
        processor, began = _processor_of_children(), time.perf_counter()
        with open_tracker(spec, study, environment()) as tracker:
            parts = SearchParts(
                study=study,
                view=view,
                proposer=Proposer(
                    view, Requirements(Limits(**config.limits)), seed=0, max_idle_asks=config.budget.max_idle_asks
                ),
                policy=Full(EPOCHS),
                executor=SleepingExecutor(seconds),
                values=partial(objective_values, config.objective),
                latest=lambda _: None,
                observers=[tracker],
            )
            search = Search(parts, config.budget, epochs=EPOCHS)
            started = time.perf_counter()
            search.run()
            ended = time.perf_counter()
        whole = time.perf_counter() - began
    return {"search": ended - started, "whole": whole, "processor": _processor_of_children() - processor}


def _processor_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def ratio(values: Sequence[float], base: Sequence[float]) -> str:
    """Return the geometric mean of paired ratios with its 95 % interval.

    >>> ratio([2.0, 2.0], [1.0, 1.0])
    '2.000 [2.000, 2.000]'
    """
    logs = [math.log(value / other) for value, other in zip(values, base, strict=True)]
    mean, half = statistics.fmean(logs), math.inf
    if len(logs) > 1:
        half = float(student.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return f"{math.exp(mean):.3f} [{math.exp(mean - half):.3f}, {math.exp(mean + half):.3f}]"


def _print(runs: Mapping[str, Sequence[Measured]], title: str) -> None:
    table = Table(title=title)
    table.add_column("tracking")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
        table.add_column("ratio to none", justify="right")
    table.add_column("processor (s)", justify="right")
    for arm, measured in runs.items():
        cells = [arm]
        for what in COLUMNS:
            seconds = [run[what] for run in measured]
            cells += [f"{statistics.fmean(seconds):.2f}", ratio(seconds, [run[what] for run in runs["none"]])]
        table.add_row(*cells, f"{statistics.fmean([run['processor'] for run in measured]):.2f}")
    console = Console(width=140)
    console.print(table)
    console.print(
        f"Python {platform.python_version()}, W&B {version('wandb')}, {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
