"""A search without training: small spaces, made-up accuracies, and an executor that plays a script."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.config.objective import Objective
from nas.config.sampler import SamplerSpec
from nas.fidelity.full import Full
from nas.fidelity.policy import Policy
from nas.jobs import Curve, Epoch, Failure, Job, Outcome
from nas.jobs.clock import Clock, WallClock
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.objectives.requirements import Requirements
from nas.objectives.values import objective_values
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.view import View
from nas.search.driver import Search
from nas.search.parts import Devices, SearchParts, one_device
from nas.search.proposer import Proposer
from nas.study.progress import Observer, Progress
from nas.study.storage.sqlite import STUDY_FILE
from nas.study.study import Study, create_study, open_study, resume_study
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record, Rejected, State
from nas.training.checkpoint_folder import latest
from search_space.graph import Shape
from search_space.space import Space, parse_space

EPOCHS = 3
SAMPLERS = ("random", "tpe", "tpe_multivariate", "nsga2")
IMAGE = Shape(1, 8, 8)
TINY = {  # eight networks
    "name": "tiny",
    "stem": {"width": [4, 8]},
    "stages": [{"depth": 1, "block": {"branches": {"k1": {"width": [0, 4]}, "k3": {"width": [4, 8]}}}}],
}
SMALL = {  # conditional choices of every kind, and networks that are the same by two ways
    "name": "small",
    "stem": {"width": {"low": 4, "high": 16, "step": 4}},
    "stages": [
        {
            "depth": [1, 2],
            "reduction": ["none", "max"],
            "block": {
                "branches": {
                    "k1": {"width": [0, 4, 16]},
                    "k3": {"width": [0, 4, 8], "reduction": ["none", 0.5], "factorization": ["full", "separable"]},
                    "pool": {"width": [0, 4], "pool": ["max", "avg"]},
                }
            },
        }
    ],
}
ONE = {
    "name": "one",
    "stem": {"width": 4},
    "stages": [{"depth": 1, "block": {"branches": {"k3": {"width": 4}}}}],
}
OBJECTIVES = {
    "val_accuracy": Objective("val_accuracy", "curve", "val_accuracy", "maximize"),
    "macs": Objective("macs", "cost", "macs", "minimize", scale="log"),
    "params": Objective("params", "cost", "params", "minimize", scale="log"),
}
AXES = {
    "val_accuracy": Axis("val_accuracy", "maximize", False, 1.0, 0.1),
    "macs": Axis("macs", "minimize", True, 1e3, 1e6),
    "params": Axis("params", "minimize", True, 1e1, 1e5),
}
TWO = ("val_accuracy", "macs")


def space_of(mapping: Mapping[str, Any]) -> Space:
    return parse_space(mapping, IMAGE, 10)


def fingerprint(objectives: Sequence[str] = TWO, **changes: Any) -> dict[str, Any]:
    axes = [AXES[name].to_json() for name in objectives]
    plain = {"space": {"name": "tiny"}, "objectives": axes, "data": {"resolution": 8}, "training": {"epochs": EPOCHS}}
    return plain | changes


def row(epoch: int, accuracy: float = 0.5, seconds: float = 1.0) -> Epoch:
    return Epoch(epoch, 2.0 / epoch, 1.5 / epoch, accuracy, accuracy, seconds)


def curve(epochs: int, accuracy: float = 0.5) -> Curve:
    return tuple(row(epoch, accuracy) for epoch in range(1, epochs + 1))


def candidate(number: int = 0, **changes: Any) -> Candidate:
    """A candidate as the proposer makes them, by hand."""
    import optuna  # noqa: PLC0415 - only here

    plain: dict[str, Any] = {
        "ask": number,
        "params": {"stem.width": 8, "stage0.reduction": "max"},
        "distributions": {
            "stem.width": optuna.distributions.IntDistribution(4, 16, step=4),
            "stage0.reduction": optuna.distributions.CategoricalDistribution(("none", "max")),
        },
        "architecture": {"stem": {"width": 8}, "number": number},
        "id": f"id{number}",
        "network_id": f"network{number}",
        "summary": f"3:8 [{number}]",
        "costs": {"params": 100 + number, "macs": 5000 + number, "memory_mib": 0.25},
        "seed": 7 + number,
        "constraints": {"max_macs": -10.5},
        "rejected": (),
        "skipped": {},
        "sampler_attrs": {},
    }
    return Candidate(**plain | changes)


def rejected(ask: int, **changes: Any) -> Rejected:
    like = candidate()
    plain = {
        "ask": ask,
        "params": like.params,
        "distributions": like.distributions,
        "constraints": {"max_macs": 12.5},
        "sampler_attrs": {"noted": [1, 2]},
    }
    return Rejected(**plain | changes)


def made_up(job: Job, epoch: int) -> Epoch:
    """A row that follows from the architecture, the seed and the epoch alone."""
    text = json.dumps([job.architecture, job.seed, epoch], sort_keys=True)
    share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
    return row(epoch, accuracy=0.1 + 0.2 * epoch + 0.2 * share, seconds=0.5 + share)


@dataclass
class FakeHandle:
    job: Job
    on_epoch: Callable[[Job, Epoch], None]
    rows: list[Epoch]
    began: int
    stopping: bool = False
    killed: bool = False

    def stop_after_epoch(self) -> None:
        self.stopping = True

    def kill(self) -> None:
        self.killed = True


@dataclass
class FakeExecutor:
    """Trains an epoch of every job at each `wait`; its checkpoints hold the curve.

    Attributes:
        slots: jobs at once.
        fails: what goes wrong when a job is about to train an epoch, None for nothing.
        before_wait: called at every `wait`, before anything else, with the count of waits so far.
    """

    slots: int = 1
    fails: Callable[[Job, int], Failure | None] = lambda job, epoch: None
    before_wait: Callable[[int], None] = lambda waits: None
    jobs: list[Job] = field(default_factory=list)
    running: list[FakeHandle] = field(default_factory=list)
    waits: int = 0
    closed: bool = False
    most: int = 0

    def submit(self, job: Job, on_epoch: Callable[[Job, Epoch], None]) -> FakeHandle:
        taken = job.devices + sum(handle.job.devices for handle in self.running)
        assert taken <= self.slots, "a job without free slots"
        assert job.trial not in [handle.job.trial for handle in self.running], "two jobs of one trial"
        rows = [] if job.checkpoint is None else [Epoch.from_json(r) for r in json.loads(job.checkpoint.read_text())]
        assert len(rows) == job.from_epoch
        handle = FakeHandle(job, on_epoch, rows, len(rows))
        self.jobs.append(job)
        self.running.append(handle)
        self.most = max(self.most, taken)
        return handle

    def wait(self, timeout: float) -> list[Outcome]:
        self.before_wait(self.waits)
        self.waits += 1
        outcomes = [outcome for handle in list(self.running) if (outcome := self._step(handle)) is not None]
        gone = [outcome.job.trial for outcome in outcomes]
        self.running = [handle for handle in self.running if handle.job.trial not in gone]
        return outcomes

    def close(self) -> None:
        self.closed = True
        for handle in self.running:
            handle.kill()
        self.running = []

    def _step(self, handle: FakeHandle) -> Outcome | None:
        job, rows = handle.job, handle.rows
        if len(rows) < job.to_epoch:
            failure = self.fails(job, len(rows) + 1)
            if failure is not None:
                return Outcome(job, tuple(rows[handle.began :] if failure.kind == "died" else rows), None, failure)
            rows.append(made_up(job, len(rows) + 1))
            path = _save(job, rows)
            handle.on_epoch(job, rows[-1])
        else:
            path = job.checkpoint
        ended = len(rows) == job.to_epoch or handle.stopping
        return Outcome(job, tuple(rows), path) if ended else None


def _save(job: Job, rows: list[Epoch]) -> Path:
    job.folder.mkdir(parents=True, exist_ok=True)
    path = job.folder / f"attempt{job.attempt}-epoch{len(rows):03d}.pt"
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps([r.to_json() for r in rows]))
    return part.replace(path)


@dataclass
class FakeClock:
    """A clock that stands still until it is moved."""

    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds


@cache
def spec_of(sampler: str) -> SamplerSpec:
    """An option of conf/sampler."""
    spec = compose("search", [f"sampler={sampler}"]).sampler
    assert isinstance(spec, SamplerSpec)
    return spec


def view_of(
    space: Space, sampler: str = "random", seed: int = 0, objectives: Sequence[str] = TWO, worst: bool | None = None
) -> View:
    """An empty view with a sampler of conf/sampler."""
    spec = spec_of(sampler)
    told_as_worst = spec.rejected_as == "worst" if worst is None else worst
    axes = [AXES[name] for name in objectives]
    return View(space, axes, sampler_factory(spec, Domain(space, axes)), seed=seed, worst=told_as_worst)


def propose(proposer: Proposer) -> Candidate | None:
    """The next candidate, None where nothing new is found."""
    return next((candidate for candidate in proposer.proposals() if candidate is not None), None)


def begin(view: View, number: int, ask: int, constraints: Mapping[str, float] | None = None) -> None:
    """Ask `ask` becomes the running trial `number`."""
    about = candidate(number, ask=ask, constraints=constraints or {})
    view.follow(Record(number, State.RUNNING, about, (), TrainingState(), None, None))


def end(
    view: View, number: int, values: Mapping[str, float] | None = None, *, rows: Curve = (), pruned: bool = False
) -> None:
    """The trial `number` is complete with these values, or was pruned, or has failed."""
    state = State.COMPLETE if values else State.PRUNED if pruned else State.FAILED
    view.follow(Record(number, state, candidate(number), rows, TrainingState(), values, None))


@dataclass
class Setting:
    """Everything of a search but its executor and its folder."""

    space: Mapping[str, Any] = field(default_factory=lambda: SMALL)
    sampler: str = "random"
    seed: int = 0
    objectives: Sequence[str] = TWO
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=lambda: Budget(trials=6))
    idle: int = 300
    retries: int = 2
    observers: Sequence[Observer] = ()
    clock: Clock = field(default_factory=WallClock)
    policy: Policy = field(default_factory=lambda: Full(EPOCHS))
    devices: Devices = one_device

    def study(self, folder: Path) -> Study:
        folder.mkdir(parents=True, exist_ok=True)
        made_with = fingerprint(self.objectives, space=dict(self.space))
        return resume_study(folder, made_with) if (folder / STUDY_FILE).exists() else create_study(folder, made_with)

    def search(self, folder: Path, executor: FakeExecutor) -> Search:
        view = view_of(space_of(self.space), self.sampler, self.seed, self.objectives)
        parts = SearchParts(
            study=self.study(folder),
            view=view,
            proposer=Proposer(view, Requirements(self.limits), seed=self.seed, max_idle_asks=self.idle),
            policy=self.policy,
            executor=executor,
            values=partial(objective_values, [OBJECTIVES[name] for name in self.objectives]),
            latest=latest,
            observers=self.observers,
            devices=self.devices,
            clock=self.clock,
        )
        return Search(parts, self.budget, epochs=EPOCHS, retries=self.retries)

    def run(self, folder: Path, executor: FakeExecutor | None = None) -> str:
        return self.search(folder, executor or FakeExecutor()).run()


def snapshot(folder: Path, where: Path) -> None:
    """What a driver that is killed now would leave in `folder`."""
    shutil.copytree(folder, where)


def told(folder: Path) -> list[tuple[Any, ...]]:
    """What came of every trial, without what a clock says."""
    return [
        (r.number, r.state, r.candidate.ask, dict(r.candidate.params), r.candidate.network_id, r.values, r.curve)
        for r in open_study(folder).records()
    ]


NAN = Failure("nan", "the training loss must stay finite, got nan")
DIED = Failure("died", "the process ended with signal 9 and without an outcome")
OUTCOMES = ("complete", "pruned", "failed", "running")


def counts(folder: Path) -> tuple[int, ...]:
    states = [record.state for record in open_study(folder).records()]
    return tuple(states.count(state) for state in OUTCOMES)


def failing(
    *pairs: tuple[int, int], failure: Failure = NAN, attempts: int = 99
) -> Callable[[Job, int], Failure | None]:
    """Fails the trials at the epochs of `pairs`, in their first `attempts` attempts."""
    return lambda job, epoch: failure if (job.trial, epoch) in pairs and job.attempt <= attempts else None


class Watcher:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self.trials: list[tuple[int, str]] = []
        self.ends: list[str] = []

    def on_progress(self, progress: Progress) -> None:
        self.progress.append(progress)

    def on_trial(self, record: Record, progress: Progress) -> None:
        self.trials.append((record.number, record.state))

    def on_end(self, progress: Progress, reason: str) -> None:
        self.ends.append(reason)
        self.progress.append(progress)
