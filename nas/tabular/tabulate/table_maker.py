"""Maker of a table: trains what no shard has, the networks that are known first, then those that strategies draw."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from nas.evaluation.training_list import Rules, TrainingList
from nas.jobs import EndReason, Executor
from nas.tabular.tabulate.plan import training_tasks
from nas.tabular.tabulate.sample import Member, trained_again
from nas.tabular.tabulate.shard_writer import ShardWriter
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.strategy_draws import StrategyPortion, draw
from nas.tabular.tabulate.task import NetworkTask, read_rows
from nas.training.checkpoint_folder import by_epoch

Trainings = Collection[tuple[str, int]]
"""Pairs of a network's identity and a seed."""

log = logging.getLogger(__name__)


class TrainingsStoppedError(Exception):
    """End of the trainings by a signal; the same command resumes."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True)
class Seeds:
    """Seeds of a table's trainings.

    Attributes:
        count: number of trainings of each network, at least 1.
        again: share of the networks of every portion that have one more.
    """

    count: int
    again: float = 0.0

    @property
    def all(self) -> list[int]:
        """Seeds that some network has."""
        return list(range(self.count + (self.again > 0)))


def tested_epochs(folder: Path) -> dict[int, Path]:
    """Return the checkpoints in a training's folder by their epochs, as far as the network was tested after them."""
    tested = len(read_rows(folder))
    return {epoch: path for epoch, path in by_epoch(folder).items() if epoch <= tested}


@final
@dataclass(frozen=True, eq=False)
class TableMaker:
    """Maker of one table.

    Attributes:
        shards: finished trainings.
        folder: parent of the folders of unfinished ones.
        rules: length of the trainings, and their retries.
        executor: makes an executor for some trainings.
        stop_on_signals: context that stops a driver on signals.
    """

    shards: Shards
    folder: Path
    rules: Rules
    executor: Callable[[], Executor]
    stop_on_signals: Callable[[Any], AbstractContextManager[None]]

    def make(
        self, members: Sequence[Member], strategies: Sequence[StrategyPortion], seeds: Seeds
    ) -> tuple[list[Member], Trainings]:
        """Train everything; return all networks, those of the strategies included, and their trainings.

        Args:
            members: networks that are known before any training.
            strategies: portions that are drawn by searches.
            seeds: of the networks.

        Raises:
            TrainingsStoppedError: a signal ended the trainings.
            ValueError: a training failed.
        """
        found = list(members)
        self.train(self.tasks(found, seeds))
        for portion in strategies:
            self.draw(portion)
            known = {member.network_id for member in found}
            found += [member for member in portion.members() if member.network_id not in known]
            self.train(self.tasks(found, seeds))
        return found, {(task.network_id, task.table_seed) for task in self.tasks(found, seeds)}

    def tasks(self, members: Sequence[Member], seeds: Seeds) -> list[NetworkTask]:
        """Return the trainings of some networks, those with a further seed last."""
        again = trained_again(members, seeds.again)
        trainings = [(member.examined, seed) for seed in range(seeds.count) for member in members]
        trainings += [(member.examined, seeds.count) for member in members if member.network_id in again]
        return training_tasks(trainings, self.rules.epochs, self.folder)

    def draw(self, portion: StrategyPortion) -> None:
        """Let a strategy draw its portion."""
        log.info("drawing %d networks with %s", portion.count, portion.name)
        reason = draw(portion, self.shards, self.executor, self.stop_on_signals)
        if reason in (EndReason.INTERRUPTED, EndReason.TERMINATED):
            raise TrainingsStoppedError(reason)

    def train(self, tasks: Sequence[NetworkTask]) -> None:
        """Run the trainings that no shard has."""
        left = self._left(tasks)
        networks = len({task.network_id for task in tasks})
        log.info("%d networks: %d of %d trainings are done", networks, len(tasks) - len(left), len(tasks))
        if not left:
            return
        writer = ShardWriter(self.shards, [task for task in left if task.done], left=len(left), total=len(tasks))
        trainings = TrainingList(self.executor(), left, self.rules, epochs=tested_epochs, on_done=writer.on_done)
        with self.stop_on_signals(trainings):
            reason = trainings.run()
        writer.flush()
        failures = [
            f"{task.label} failed ({failure.kind}): {failure.message}"
            for task in left
            if (failure := trainings.failures.get(task.folder)) is not None
        ]
        if failures:
            raise ValueError(f"every training must end for a table, {'; '.join(failures)}")
        if reason is not EndReason.DONE:
            raise TrainingsStoppedError(reason)

    def _left(self, tasks: Sequence[NetworkTask]) -> list[NetworkTask]:
        """Return the trainings that no shard has; remove the folders of the others."""
        finished = self.shards.finished(self.rules.epochs)
        for task in tasks:  # the run may have been killed between writing a shard and removing the folder
            if (task.network_id, task.table_seed) in finished and task.folder.exists():
                shutil.rmtree(task.folder)
        return [task for task in tasks if (task.network_id, task.table_seed) not in finished]
