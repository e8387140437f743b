"""Milliseconds of the driver on a trial beside its training: ask, limits, store, tell, log.

A real search over the default space with a real study and a real sampler, whose jobs end at once with a synthetic
learning curve. The last trials are counted, when the study is large; the start of a worker process is not included.
Processor time is printed beside wall-clock time, which includes other programs on the machine.

    python benchmarks/driver_overhead.py [--trials 200] [--sampler tpe] [--last 50] [--storage sqlite]

With `--storage postgres` the study is created in the database that NAS_STORAGE_URL names, and left there.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.cli.app.compose import compose
from nas.config.storage import STORAGES
from nas.fidelity.full import Full
from nas.jobs import Epoch, Job, Outcome
from nas.objectives.limits import Limits
from nas.objectives.requirements import Requirements
from nas.objectives.values import objective_values
from nas.reports.console import LineObserver
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.view import View
from nas.search import build
from nas.search.driver import Search
from nas.search.parts import SearchParts
from nas.search.proposer import Proposer
from nas.study.progress import Progress
from nas.study.storage.factory import locked_store
from nas.study.storage.store import Store
from nas.study.study import Study
from nas.study.trial import Record

EPOCHS = 12
MILLISECONDS = 1e3
WHOLE, PROCESSOR = "whole trial", "whole trial, processor time"


class InstantExecutor:
    """Executor that ends every job at once with a random accuracy; it is its own handle."""

    slots = 1
    job: Job

    def __init__(self) -> None:
        self._generator = random.Random(0)

    def submit(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> InstantExecutor:  # noqa: ARG002
        """Accept the job."""
        self.job = job
        return self

    def wait(self, timeout: float) -> Sequence[Outcome]:  # noqa: ARG002
        """Return the job's outcome."""
        accuracy = 0.9 + 0.1 * self._generator.random()
        curve = tuple(Epoch(n + 1, 1.0, 1.0, accuracy, accuracy, 0.1) for n in range(EPOCHS))
        return [Outcome(self.job, curve, None)]

    def close(self) -> None:
        """Do nothing: no job runs."""


class Stopwatch(LineObserver):  # type: ignore[misc]  # final in nas; here it also measures
    """Observer that sums the seconds of each part of each trial."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.trials: list[Counter[str]] = []
        self._current: Counter[str] = Counter()
        self._began = time.perf_counter(), time.process_time()

    def watch(self, owner: Any, **parts: str) -> None:
        """Add the time spent in methods of `owner` to their parts: `name=part`."""
        for name, part in parts.items():
            setattr(owner, name, self._timed(getattr(owner, name), part))

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Log the trial, and store the sums of its parts."""
        before = time.perf_counter()
        super().on_trial(record, progress)
        now, processor = time.perf_counter(), time.process_time()
        self._current["log"] += now - before
        self._current[WHOLE], self._current[PROCESSOR] = now - self._began[0], processor - self._began[1]
        self._began = now, processor
        self.trials.append(self._current)
        self._current = Counter()

    def _timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            before = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._current[part] += time.perf_counter() - before

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--last", type=int, default=50, help="number of last trials that are counted")
    parser.add_argument("--storage", default="sqlite", choices=STORAGES)
    arguments = parser.parse_args()
    watch = Stopwatch()
    with (
        tempfile.TemporaryDirectory(prefix="overhead-") as folder,
        locked_store(Path(folder), arguments.storage) as store,
    ):
        _search(store, Path(folder), arguments.sampler, arguments.trials, watch).run()
    first = arguments.trials - arguments.last
    _print(watch.trials[-arguments.last :], f"{arguments.sampler}, {arguments.storage}, trials {first} on")


def _search(store: Store, folder: Path, sampler_name: str, trials: int, watch: Stopwatch) -> Search:
    words = [f"sampler={sampler_name}", "fidelity=full"]
    config = compose("search", [*words, f"budget.trials={trials}", f"training.epochs={EPOCHS}"])
    plan = build.prepare(config)
    study: Study = build.open_or_create(folder, plan, store)
    sampler = sampler_factory(config.sampler, Domain(plan.space, study.axes))
    view = View(plan.space, study.axes, sampler, seed=0, worst=config.sampler.rejected_as == "worst")
    watch.watch(view, ask="ask", follow="tell the sampler")
    watch.watch(study, add="store", store_training="store", tell="store")
    requirements = Requirements(Limits(**config.limits))
    watch.watch(requirements, examine="identities and costs")
    parts = SearchParts(
        study=study,
        view=view,
        proposer=Proposer(view, requirements, seed=0, max_idle_asks=config.budget.max_idle_asks),
        policy=Full(EPOCHS),
        executor=InstantExecutor(),
        values=partial(objective_values, config.objective),
        latest=lambda _: None,
        observers=[watch],
    )
    return Search(parts, config.budget, epochs=EPOCHS)


def _print(trials: Sequence[Counter[str]], title: str) -> None:
    table = Table(title=f"Driver time a trial in ms: {title}, n={len(trials)}")
    for heading in ("part", "mean", "median", "95th percentile"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part in ("ask", "identities and costs", "store", "tell the sampler", "log", WHOLE, PROCESSOR):
        times = [MILLISECONDS * trial[part] for trial in trials]
        numbers = statistics.fmean(times), statistics.median(times), statistics.quantiles(times, n=20)[-1]
        table.add_row(part, *(f"{number:.1f}" for number in numbers))
    console = Console()
    console.print(table)
    console.print(
        f"Python {platform.python_version()}, Optuna {version('optuna')}, {platform.machine()}, "
        f"{os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
