"""Writer of finished trainings into shards, with log lines of the progress."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from typing import final

from nas.evaluation.training_list import Task
from nas.jobs import Outcome
from nas.reports.text import clock_text
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.task import NetworkTask

SHARD_TRAININGS = 20
LOG_SECONDS = 20.0

log = logging.getLogger(__name__)


@final
class ShardWriter:
    """Writer of finished trainings into shards of `SHARD_TRAININGS` trainings.

    A waiting training is not lost when the process dies: its folder is removed only once the shard is on disk.
    """

    def __init__(self, shards: Shards, waiting: Sequence[NetworkTask], *, left: int, total: int) -> None:
        """Take over the trainings of an earlier run.

        Args:
            shards: of the table.
            waiting: trainings that an earlier run finished and wrote to no shard.
            left: number of trainings that no shard has, the waiting ones included.
            total: number of all trainings.
        """
        self._shards = shards
        self._waiting = list(waiting)
        self._before = total - left + len(waiting)
        self._total = total
        self._began = self._logged = time.monotonic()
        self._done = 0

    def on_done(self, task: Task, _: Outcome) -> None:
        """Add a training that is complete."""
        assert isinstance(task, NetworkTask)
        self._waiting.append(task)
        self._done += 1
        if len(self._waiting) >= SHARD_TRAININGS:
            self.flush()
        if time.monotonic() - self._logged > LOG_SECONDS:
            self._log_progress()

    def flush(self) -> None:
        """Write the waiting trainings as a shard and remove their folders."""
        if self._waiting:
            self._shards.add(row for task in self._waiting for row in task.rows())
        for task in self._waiting:
            shutil.rmtree(task.folder)
        self._waiting.clear()

    def _log_progress(self) -> None:
        self._logged = time.monotonic()
        each = (self._logged - self._began) / self._done
        done = self._before + self._done
        log.info(
            "%d of %d trainings, %.1f s each, %s left", done, self._total, each, clock_text(each * (self._total - done))
        )
