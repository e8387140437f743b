"""Portion of a sample that a strategy draws: a real sequential search, with the table's runner and shards.

Its study is stored beside the shards. A killed search goes on from there; a network that a shard holds is not trained
again, whichever portion it came from.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.config.budget import Budget
from nas.jobs import EndReason, Executor, Outcome
from nas.objectives.requirements import Requirements
from nas.search.built_strategy import Strategy, TrainingHorizon, build_strategy
from nas.search.driver import Search
from nas.search.threads import single_threaded_blas
from nas.study.storage.sqlite import SqliteStore
from nas.study.study import Study, create_study, open_study, resume_study
from nas.study.trial import Record, State
from nas.tabular.tabulate.recorded import RecordedExecutor
from nas.tabular.tabulate.sample import Member
from nas.tabular.tabulate.shard_writer import ShardWriter
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.task import NetworkTask
from nas.training.checkpoint_folder import latest
from search_space.architecture import Architecture
from search_space.space import Space

SEED = 0
"""Seed of the searches and of their trainings, which are those of the table's first seed."""


@dataclass(frozen=True)
class StrategyPortion:
    """Portion of a sample that a strategy draws.

    Attributes:
        name: its origin.
        count: number of networks.
        strategy: settings of the search.
        space: the space.
        epochs: of a full training.
        retries: of a training whose process died.
        folder: of its study.
    """

    name: str
    count: int
    strategy: Strategy
    space: Space
    epochs: int
    retries: int
    folder: Path

    def records(self) -> list[Record]:
        """Return the stored trials."""
        if not SqliteStore(self.folder).exists():
            return []
        study = open_study(self.folder)
        try:
            return study.records()
        finally:
            study.close()

    def complete(self) -> list[Record]:
        """Return the stored trials that are complete, at most `count`."""
        return [record for record in self.records() if record.state == State.COMPLETE][: self.count]

    def members(self) -> list[Member]:
        """Return the networks of the complete trials."""
        requirements = Requirements()
        found = [Architecture.from_json(dict(record.candidate.architecture)) for record in self.complete()]
        return [Member(requirements.examine(architecture), self.name) for architecture in found]

    def tasks(self) -> list[NetworkTask]:
        """Return the trainings of the stored trials, in the trials' folders."""
        return [
            NetworkTask(
                number=record.number,
                network_id=record.candidate.network_id,
                architecture=record.candidate.architecture,
                table_seed=SEED,
                seed=record.candidate.seed,
                epochs=self.epochs,
                folder=self.folder / "trials" / f"{record.number:05d}",
            )
            for record in self.records()
        ]


def rescue_trainings(portion: StrategyPortion, shards: Shards) -> None:
    """Write trainings that a killed search had finished into the shards, and remove the folders of all in shards."""
    finished = shards.finished(portion.epochs)
    tasks = [task for task in portion.tasks() if task.folder.exists()]
    waiting = [task for task in tasks if task.done and (task.network_id, SEED) not in finished]
    ShardWriter(shards, waiting, left=len(waiting), total=portion.count).flush()
    for task in tasks:
        if task.folder.exists() and (task.network_id, SEED) in finished:
            shutil.rmtree(task.folder)


def draw(
    portion: StrategyPortion,
    shards: Shards,
    executor: Callable[[], Executor],
    stop_on_signals: Callable[[Search], AbstractContextManager[None]],
) -> EndReason:
    """Search until the portion has its networks, or until a stop.

    Args:
        portion: the portion.
        shards: of the table; they get the trainings.
        executor: makes the executor of the trainings.
        stop_on_signals: context in which the search runs, which stops it on signals.

    Raises:
        StudyMismatchError: the stored search had other objectives or another sampler.
    """
    rescue_trainings(portion, shards)
    done = len(portion.complete())
    if done >= portion.count:
        return EndReason.BUDGET
    built = build_strategy(portion.strategy, portion.space, TrainingHorizon(portion.epochs))
    study = _study(portion, [axis.to_json() for axis in built.axes])
    curves, measure = shards.curves(SEED), Requirements().measure
    writer = ShardWriter(shards, [], left=portion.count - done, total=portion.count)

    def recorded(architecture: Mapping[str, Any]) -> Any:
        return curves.get(measure(Architecture.from_json(dict(architecture)))[0])

    def keep(outcome: Outcome) -> None:
        job = outcome.job
        if outcome.failure is None and outcome.epoch == portion.epochs:
            name = measure(Architecture.from_json(job.architecture))[0]
            task = NetworkTask(job.trial, name, job.architecture, SEED, job.seed, portion.epochs, job.folder)
            writer.on_done(task, outcome)

    parts = built.parts(study, RecordedExecutor(executor(), recorded, keep), latest)
    try:
        search = Search(parts, Budget(trials=portion.count), epochs=portion.epochs, retries=portion.retries)
        with stop_on_signals(search), single_threaded_blas():
            return search.run()
    finally:
        writer.flush()
        study.close()


def _study(portion: StrategyPortion, objectives: list[dict[str, Any]]) -> Study:
    """Open the stored study, or create it."""
    portion.folder.mkdir(parents=True, exist_ok=True)
    named = asdict(portion.strategy.sampler)
    settings = {"objectives": objectives, "sampler": {key: named[key] for key in ("name", "module", "optuna_class")}}
    if SqliteStore(portion.folder).exists():
        return resume_study(portion.folder, settings)
    return create_study(portion.folder, settings)
