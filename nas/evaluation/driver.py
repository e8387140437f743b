"""The driver of trainings that are known beforehand: every one of them, on the slots there are."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nas.jobs import EndReason, Epoch, Executor, Failure, FailureKind, Handle, Job, Outcome
from nas.jobs.failures import STOPPING, Verdict, set_aside, verdict

POLL_SECONDS = 0.5
SAY_SECONDS = 20.0
HALVES = "halves"
"""Marks the folder of a training whose batches are cut in two, since it ran out of memory."""

Latest = Callable[[Path], tuple[Path, int] | None]
OnDone = Callable[["Task", Outcome], None]

log = logging.getLogger(__name__)


class Task(Protocol):
    """One network with one seed, trained in full and measured."""

    @property
    def number(self) -> int:
        """Names the training's process."""
        ...

    @property
    def label(self) -> str:
        """Names it in a log."""
        ...

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The architecture's JSON form."""
        ...

    @property
    def seed(self) -> int:
        """Seeds the initial weights, the batch order and the augmentation."""
        ...

    @property
    def folder(self) -> Path:
        """Where its checkpoints, its log and its result go."""
        ...

    @property
    def devices(self) -> int:
        """Over how many devices it is trained; more than there are slots is all of them."""
        ...

    @property
    def done(self) -> bool:
        """Whether it is trained in full and measured."""
        ...


@dataclass(frozen=True)
class Rules:
    """How far trainings go, and when they are tried again.

    Attributes:
        epochs: the full horizon of a training.
        retries: how often one whose process died, or whose checkpoint can't be read, is tried again in a run of the
            driver; one that hung, once at most.
        halves: whether one that runs out of memory is tried once more with its batches cut in two.
    """

    epochs: int
    retries: int
    halves: bool = True


class TrainingsStoppedError(ValueError):
    """Something that every further training would meet too; what is done stays done."""


class Trainings:
    """One run of the driver; what is on disk already is not done again, so that the next run goes on from there."""

    def __init__(
        self,
        executor: Executor,
        tasks: Sequence[Task],
        rules: Rules,
        *,
        latest: Latest,
        on_done: OnDone = lambda _task, _outcome: None,
    ) -> None:
        """Prepare.

        Args:
            executor: runs the jobs.
            tasks: what to do, in this order.
            rules: how far each is trained, and when it is tried again.
            latest: the newest checkpoint in a folder, and its epoch.
            on_done: called for each task that this run has done.
        """
        self._executor = executor
        self._waiting = [task for task in tasks if not task.done]
        self._rules = rules
        self._latest = latest
        self._on_done = on_done
        self._running: dict[Path, tuple[Task, Handle]] = {}
        self._again: dict[Path, Counter[str]] = {}
        self._said: dict[Path, float] = {}
        self._reason: EndReason | None = None
        self._at_once = False
        self.failures: dict[Path, Failure] = {}

    def run(self) -> EndReason:
        """Train until everything is done or somebody stops it.

        Returns:
            Why it ended: `done`, or what `stop` was given. What failed for good stands in `failures`.

        Raises:
            TrainingsStoppedError: the data cannot be read, or no checkpoint can be written.
        """
        try:
            while self._fill_slots() and not self._at_once:
                for outcome in self._executor.wait(POLL_SECONDS):
                    self._settle(outcome)
        finally:
            self._executor.close()
        return self._reason or EndReason.DONE

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        """End: running jobs stop at the end of their epoch, or are killed `at_once`; either way they can be resumed."""
        self._at_once = self._at_once or at_once
        self._reason = self._reason or reason
        for _, handle in self._running.values():
            handle.stop_after_epoch()

    def _fill_slots(self) -> bool:
        """Hand out jobs while slots are free; whether any job runs."""
        while self._waiting and not self._reason:
            devices = min(self._waiting[0].devices, self._executor.slots)
            if devices > self._executor.slots - sum(handle.job.devices for _, handle in self._running.values()):
                break  # nothing overtakes it: its devices drain
            task = self._waiting.pop(0)
            handle = self._executor.submit(self._job(task, devices), self._on_epoch)
            self._running[task.folder] = task, handle
            if self._reason:  # `stop` came, in a signal, while the job was on its way and had no handle yet
                handle.stop_after_epoch()
        return bool(self._running)

    def _job(self, task: Task, devices: int) -> Job:
        checkpoint, epoch = self._latest(task.folder) or (None, 0)
        return Job(
            trial=task.number,
            attempt=next_attempt(task.folder),
            architecture=task.architecture,
            seed=task.seed,
            from_epoch=epoch,
            to_epoch=max(epoch, self._rules.epochs),
            folder=task.folder,
            checkpoint=checkpoint,
            micro_batches=2 if (task.folder / HALVES).exists() else 1,
            devices=devices,
        )

    def _on_epoch(self, job: Job, row: Epoch) -> None:
        if time.monotonic() - self._said.setdefault(job.folder, time.monotonic()) > SAY_SECONDS:
            self._said[job.folder] = time.monotonic()
            log.info(
                "%s: epoch %d/%d, val_accuracy %.4f",
                self._running[job.folder][0].label, row.epoch, self._rules.epochs, row.val_accuracy,
            )  # fmt: skip

    def _settle(self, outcome: Outcome) -> None:
        """Take in what came of a job: what may go well the next time is tried again, the rest is a failure."""
        job = outcome.job
        task, _ = self._running.pop(job.folder)
        if outcome.failure is None and task.done:
            self._on_done(task, outcome)
            return
        if outcome.failure is None and self._reason:
            return
        failure = outcome.failure or Failure(FailureKind.DIED, "the training was ended from outside")
        match self._verdict(failure, job):
            case Verdict.STOP:
                raise TrainingsStoppedError(f"{STOPPING[failure.kind]}: {failure.message}")
            case Verdict.FAIL:
                self.failures[job.folder] = failure
                log.info("%s: failed, %s", task.label, failure.message)
                return
            case Verdict.ANEW:
                log.info("%s: begins anew, %s", task.label, failure.message)
                set_aside(job)
            case Verdict.SMALLER:
                log.info("%s: goes on with half batches, %s", task.label, failure.message)
                (job.folder / HALVES).touch()
        self._again[job.folder][failure.kind] += 1
        self._waiting.insert(0, task)

    def _verdict(self, failure: Failure, job: Job) -> Verdict:
        found = verdict(failure, job, self._again.setdefault(job.folder, Counter()), self._rules.retries)
        return Verdict.FAIL if found is Verdict.SMALLER and not self._rules.halves else found


def next_attempt(folder: Path) -> int:
    """One more than the highest attempt that left a file in `folder`, so that a straggler of it can do no harm."""
    found = [re.match(r"\.?attempt(\d+)-", path.name) for path in folder.glob("*attempt*")]
    return 1 + max((int(match[1]) for match in found if match), default=0)
