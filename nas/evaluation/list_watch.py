"""Watch over a list of trainings: epochs trained, and the time that the others will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol, final

from nas.evaluation.pump import RunningJob
from nas.jobs import Curve, Epoch, Job
from nas.study.list_progress import ListProgress, RunningTraining, list_seconds_left
from search_space.identity import canonical_json


class Watched(Protocol):
    """One training of the list."""

    @property
    def label(self) -> str:
        """Name in the log."""
        ...

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The network's JSON form."""
        ...

    @property
    def folder(self) -> Path:
        """Folder of its checkpoints."""
        ...


@final
class ListWatch:
    """Watch over one run of a list of trainings.

    An epoch of a network takes as long as those of the same network on average, or else as those of all.
    """

    def __init__(
        self,
        waiting: Mapping[Path, Watched],
        reached: Mapping[Path, int],
        *,
        total: int,
        epochs: int,
        slots: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin before the first epoch.

        Args:
            waiting: trainings of this run, by folder.
            reached: epochs that each has been trained before.
            total: number of all trainings, those done before included.
            epochs: epochs of a full training.
            slots: number of slots, at least 1.
            now: returns the clock in seconds.
        """
        self._tasks, self._reached = dict(waiting), dict(reached)
        self._kinds = {folder: canonical_json(dict(task.architecture)) for folder, task in waiting.items()}
        self._total, self._epochs, self._slots = total, epochs, slots
        self._now = now
        self._began = now()
        self._curves: dict[Path, Curve] = {}
        self._seconds: dict[str, list[float]] = {}
        self._done: set[Path] = set()
        self._failed: set[Path] = set()

    def on_submit(self, job: Job) -> None:
        """Begin a training at the epoch of its job."""
        self._reached[job.folder] = job.from_epoch
        self._curves[job.folder] = ()

    def on_epoch(self, job: Job, row: Epoch) -> None:
        """Take in a completed epoch."""
        self._reached[job.folder] = row.epoch
        self._curves[job.folder] = (*self._curves.get(job.folder, ()), row)
        self._seconds.setdefault(self._kinds[job.folder], []).append(row.seconds)

    def on_done(self, folder: Path) -> None:
        """Take in a training that is done."""
        self._done.add(folder)

    def on_give_up(self, folder: Path) -> None:
        """Take in a training that was given up."""
        self._failed.add(folder)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end of the list, None before the first epoch."""
        known = {kind: fmean(seconds) for kind, seconds in self._seconds.items()}
        if not known:
            return None
        usual = fmean(known.values())
        open_tasks = [folder for folder in self._tasks if folder not in self._done | self._failed]
        rests = [(self._epochs - self._reached[each]) * known.get(self._kinds[each], usual) for each in open_tasks]
        return list_seconds_left(rests, self._slots, self._waste())

    def _waste(self) -> float:
        """Return the seconds of a slot for one of training, 1 until a training is done."""
        trained = sum(map(sum, self._seconds.values()))
        used = min(self._slots, len(self._tasks))
        return (self._now() - self._began) * used / trained if self._done and trained else 1.0

    def progress(self, running: Sequence[RunningJob], *, stopping: bool) -> ListProgress:
        """Return the progress now."""
        trained = sum(self._reached.values()) + (self._total - len(self._tasks)) * self._epochs
        return ListProgress(
            done=self._total - len(self._tasks) + len(self._done),
            failed=len(self._failed),
            total=self._total,
            share_done=min(1.0, trained / max(1, self._total * self._epochs)),
            running=[self._running(each) for each in running],
            clock_seconds=self._now() - self._began,
            seconds_left=self.seconds_left,
            stopping=stopping,
        )

    def _running(self, entry: RunningJob) -> RunningTraining:
        folder = entry.job.folder
        label = self._tasks[folder].label
        return RunningTraining(label, self._reached[folder], self._epochs, entry.slot, self._curves[folder])
