"""Processor time and memory of the commands on studies of many trials, and the start of a resumed search.

Each study is made through our own study in memory, with the default search's space, real costs and made-up learning
curves, and copied to a database at once. Every command is a process of its own; its peak memory is shown less that of
the same command on the empty study. `resume` ends when the first job is handed out.

    python benchmarks/load.py [--trials 0 5000 50000] [--quick] [--keep FOLDER] [--commands status front report resume]
        [--epochs 10] [--rejected 0] [--foreign] [--json FILE] [OVERRIDE ...]

`--rejected` are asks over a limit that each trial stores, `--foreign` leaves the parameters and values alone in the
database, as another program's trials have them, and overrides are those of `nas search` (`data=tensors`, `space=cifar`,
`objective=[val_accuracy,macs,params]`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, insert

from nas.cli.app.compose import compose, yaml_text
from nas.jobs import Curve, Epoch, Failure, FailureKind, Job
from nas.jobs.files import write_text
from nas.reports.console import LineObserver
from nas.search import build
from nas.search.fingerprint import fingerprint
from nas.search.proposer import training_seed
from nas.study.parameters import Draw
from nas.study.storage.memory import MemoryStore
from nas.study.storage.sqlite import SqliteStore
from nas.study.storage.trial_insert import trial_rows
from nas.study.study import Study, create_study
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Rejected

DISTINCT = 5000
"""Different networks of a study; more trials repeat them under other numbers, which costs a reader the same."""
KIB_A_MIB = 1024
COMMANDS = {
    "status": (),
    "front": ("format=json",),
    "report": ("output={folder}/report.html",),
    "resume": (),
}
LAUNCHER = """
import os, subprocess, sys, time
started = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(used.ru_utime + used.ru_stime, time.monotonic() - started, used.ru_maxrss)
sys.exit(bool(status))
"""
"""Small parent of a measured process: Linux counts the memory of the parent at a process' start as the process' own."""


@dataclass(frozen=True)
class Figures:
    """Processor and wall-clock seconds of one process, and its peak memory in MiB."""

    processor: float
    wall: float
    peak: float


@dataclass(frozen=True)
class Kind:
    """Kind of a study: epochs of a training, rejected asks a trial, whether another program made it, overrides."""

    epochs: int = 10
    rejected: int = 0
    foreign: bool = False
    words: tuple[str, ...] = ()

    def plan(self, trials: int) -> build.SearchPlan:
        """Return the plan of a search for so many trials."""
        words = ("tracking=none", f"training.epochs={self.epochs}", "workers.slots=1", f"budget.trials={trials}")
        config: Any = compose("search", [*words, *self.words])
        return build.prepare(config)


def candidates(plan: build.SearchPlan, count: int, rejected: int) -> Iterator[Candidate]:
    """Yield candidates of random networks of the plan's space, as the proposer makes them."""
    generator = random.Random(0)
    known: list[Candidate] = []
    for number in range(count):
        if number < DISTINCT:
            known.append(_candidate(plan, generator))
        like = known[number % DISTINCT]
        name = like.network_id if number < DISTINCT else f"{like.network_id}-{number // DISTINCT}"
        others = [known[(number * 31 + place) % len(known)] for place in range(rejected)]
        yield replace(
            like,
            ask=number,
            network_id=name,
            skipped={"duplicates": 1} if number % 7 == 0 else {},
            rejected=tuple(Rejected(number, o.params, o.distributions, {"max_macs": 1.0}) for o in others),
        )


def _candidate(plan: build.SearchPlan, generator: random.Random) -> Candidate:
    architecture = plan.space.draw(generator)
    examined, draw = plan.built.requirements.examine(architecture), Draw.of(plan.space, architecture)
    return Candidate(
        ask=0,
        params=dict(draw.params),
        distributions=dict(draw.distributions),
        architecture=architecture.to_json(),
        id=architecture.id,
        network_id=examined.network_id,
        summary=examined.summary,
        costs=dict(examined.costs),
        seed=training_seed(0, examined.network_id),
    )


def made_up_curve(macs: float, epochs: int, generator: random.Random) -> Curve:
    """Return a curve whose error falls with the epochs and with the network's cost, with noise."""
    error = min(0.85, 0.9 * (macs / 1e4) ** -0.4 * math.exp(generator.gauss(0.0, 0.2)))
    rows = []
    for epoch in range(1, epochs + 1):
        now = min(0.9, error * (1 + 2.0 / epoch) * math.exp(generator.gauss(0.0, 0.05)))
        rows.append(Epoch(epoch, 2.5 * now, 2.2 * now, 1 - now, 1 - 1.01 * now, 0.4 + generator.random() / 10))
    return tuple(rows)


def fill(study: Study, plan: build.SearchPlan, count: int, kind: Kind) -> None:
    """Store trials as a search does: most of them complete, every ninth pruned, some failed."""
    generator, clock = random.Random(1), 0.0
    for candidate in candidates(plan, count, kind.rejected):
        number = study.add(candidate)
        curve = made_up_curve(candidate.costs["macs"], kind.epochs, generator)
        curve = curve[:3] if number % 9 == 8 else curve
        seconds = sum(row.seconds for row in curve)
        clock += seconds
        where = f"trials/{number:05d}/epoch{len(curve):04d}.pt"
        state = TrainingState(1, kind.epochs, 1, False, len(curve), seconds, clock, where)
        study.store_training(number, curve, state)
        if number % 9 == 8:
            study.prune(number)
        elif number % 100 == 50:
            study.fail(number, Failure(FailureKind.NAN, f"the loss became NaN in epoch {len(curve)}"))
        else:
            study.tell(number, plan.built.values(curve, candidate.costs))


def make_study(folder: Path, count: int, kind: Kind) -> None:
    """Make a study of `count` trials in a new folder."""
    folder.mkdir(parents=True)
    plan = kind.plan(count + 1)
    found, memory = fingerprint(plan.config, plan.images, plan.space, plan.built.axes), MemoryStore()
    fill(create_study(folder, found, memory), plan, count, kind)
    store = SqliteStore(folder)
    stored = create_study(folder, found, store)
    stored.set_attribute("validation_images", plan.images.validation)
    stored.set_attribute("config", json.loads(json.dumps(asdict(plan.config))))
    stored.set_attribute("budget", asdict(plan.config.budget))
    storage = store.storage
    assert isinstance(storage, RDBStorage)
    with storage.engine.begin() as connection:
        for trial in memory.storage.get_all_trials(0, deepcopy=False):
            _insert(connection, trial, foreign=kind.foreign)
    store.close()
    write_text(folder / "config.yaml", yaml_text(json.loads(json.dumps(asdict(plan.config)))))


def _insert(connection: Connection, trial: FrozenTrial, *, foreign: bool) -> None:
    number = trial.number + 1
    rows = trial_rows(number, trial)
    if foreign:
        rows[models.TrialUserAttributeModel] = []
    rows[models.TrialModel] = [
        {
            "trial_id": number,
            "study_id": 1,
            "number": trial.number,
            "state": trial.state,
            "datetime_start": trial.datetime_start,
            "datetime_complete": trial.datetime_complete,
        }
    ]
    complete = trial.state == TrialState.COMPLETE
    rows[models.TrialValueModel] = [
        {"trial_id": number, "objective": place, "value": value, "value_type": "FINITE"}
        for place, value in enumerate(trial.values if complete else ())
    ]
    for model in (models.TrialModel, *(each for each in rows if each is not models.TrialModel)):
        if rows[model]:
            connection.execute(insert(model), rows[model])


class FirstJob:
    """Executor that ends the process at its first job."""

    slots = 1

    def __init__(self, started: float) -> None:
        self._started = started

    def submit(self, job: Job, _on_epoch: object) -> None:
        """Print the time and end the process."""
        print(f"trial {job.trial} {time.monotonic() - self._started:.2f} s after the imports", file=sys.stderr)
        sys.stderr.flush()
        os._exit(0)


def resume(folder: Path, trials: int, kind: Kind) -> None:
    """Go on with a study up to the first job."""
    started = time.monotonic()
    plan = kind.plan(trials + 1)
    build.executor_for = lambda *_: FirstJob(started)
    study = build.open_or_create(folder, plan)
    build.assemble(plan, study, [LineObserver(Console(stderr=True))]).run()
    raise AssertionError("a search with budget left hands out a job")


def measure(command: str, folder: Path, trials: int, kind: Kind) -> Figures:
    """Return what a command takes on the study of a folder."""
    words = [word.format(folder=folder.parent) for word in COMMANDS[command]]
    line = [sys.executable, "-m", "nas", command, f"study={folder}", *words]
    if command == "resume":
        line = [sys.executable, __file__, "--resume", str(folder), "--trials", str(trials)]
        line += ["--epochs", str(kind.epochs), *kind.words]
    done = subprocess.run([sys.executable, "-c", LAUNCHER, *line], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} ended with status {done.returncode}")
    processor, wall, peak = map(float, done.stdout.split()[-3:])
    return Figures(processor, wall, peak / KIB_A_MIB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[0, 5000, 50000])
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--quick", action="store_true", help="studies of 0 and 200 trials")
    parser.add_argument("--keep", type=Path, help="folder of the studies, which are made once")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of a full training")
    parser.add_argument("--rejected", type=int, default=0, help="rejected asks that each trial stores")
    parser.add_argument("--foreign", action="store_true", help="trials as another program stores them")
    parser.add_argument("--json", type=Path, help="file of the figures")
    parser.add_argument("--resume", type=Path, help=argparse.SUPPRESS)
    arguments, words = parser.parse_known_args()
    kind = Kind(arguments.epochs, arguments.rejected, arguments.foreign, tuple(words))
    if arguments.resume:
        resume(arguments.resume, arguments.trials[0], kind)
    counts = sorted({0, *((200,) if arguments.quick else arguments.trials)})
    with tempfile.TemporaryDirectory() as temporary:
        rows = list(measured(arguments.keep or Path(temporary), counts, arguments.commands, kind))
    show(rows)
    if arguments.json:
        write_text(arguments.json, json.dumps(rows, indent=2) + "\n")


def measured(root: Path, counts: Sequence[int], commands: Sequence[str], kind: Kind) -> Iterator[dict[str, Any]]:
    """Yield the figures of the commands on each study; make the studies that are missing."""
    for command in commands:
        empty = 0.0
        for count in counts:
            folder = root / f"load{count}"
            if not folder.is_dir():
                make_study(folder, count, kind)
            found = measure(command, folder, count, kind)
            empty = empty or found.peak
            yield {"command": command, "trials": count, **asdict(found), "over_empty": found.peak - empty}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the figures as a table."""
    table = Table(title="Commands on large studies")
    for heading in ("command", "trials", "processor (s)", "wall clock (s)", "peak (MiB)", "over empty (MiB)"):
        table.add_column(heading, justify="right")
    for row in rows:
        command, count, *numbers = row.values()
        table.add_row(command, str(count), *(f"{number:.2f}" for number in numbers))
    console = Console()
    console.print(table)
    console.print(
        f"Python {platform.python_version()}, Optuna {version('optuna')}, {platform.machine()}, {os.cpu_count()} "
        f"cores, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
