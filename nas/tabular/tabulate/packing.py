"""From finished trainings to shards, with a word on how far it is."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from typing import final

from nas.evaluation.driver import Task
from nas.jobs import Outcome
from nas.reports.text import clock_text
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.task import NetworkTask

SHARD_TRAININGS = 20
SAY_SECONDS = 20.0

log = logging.getLogger(__name__)


@final
class Packing:
    """Packs finished trainings into shards, a few at a time, and says how far it is.

    A training is not lost while it waits: its rows lie in its folder, which goes only once the shard is on disk.
    """

    def __init__(self, shards: Shards, waiting: Sequence[NetworkTask], *, left: int, total: int) -> None:
        """Begin.

        Args:
            shards: where they go.
            waiting: trainings that an earlier run has ended and not packed.
            left: trainings that no shard has, the waiting ones among them.
            total: all trainings.
        """
        self._shards = shards
        self._waiting = list(waiting)
        self._before = total - left + len(waiting)
        self._total = total
        self._began = self._said = time.monotonic()
        self._done = 0

    def on_done(self, task: Task, _: Outcome) -> None:
        """Take in a training that has ended."""
        assert isinstance(task, NetworkTask)
        self._waiting.append(task)
        self._done += 1
        if len(self._waiting) >= SHARD_TRAININGS:
            self.pack()
        if time.monotonic() - self._said > SAY_SECONDS:
            self._say()

    def pack(self) -> None:
        """Write a shard of what waits."""
        if self._waiting:
            self._shards.add(row for task in self._waiting for row in task.rows())
        for task in self._waiting:
            shutil.rmtree(task.folder)
        self._waiting.clear()

    def _say(self) -> None:
        self._said = time.monotonic()
        each = (self._said - self._began) / self._done
        done = self._before + self._done
        log.info(
            "%d of %d trainings, %.1f s each, %s left", done, self._total, each, clock_text(each * (self._total - done))
        )
