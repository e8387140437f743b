"""Driver of a known list of trainings: retraining, and the making of tables."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nas.evaluation.pump import JobPump, Latest, Request
from nas.jobs import EndReason, Epoch, Executor, Failure, FailureKind, Job, Outcome
from nas.jobs.failures import Verdict
from nas.jobs.files import write_bytes

POLL_SECONDS = 0.5
LOG_SECONDS = 20.0
HALVES = "halves"
"""File that marks the folder of a training whose batches are cut in two, since it ran out of memory."""

OnDone = Callable[["Task", Outcome], None]

log = logging.getLogger(__name__)


class Task(Protocol):
    """One network with one seed, to be trained in full and measured."""

    @property
    def number(self) -> int:
        """Number by which the training's process is named."""
        ...

    @property
    def label(self) -> str:
        """Name in the log."""
        ...

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The architecture's JSON form."""
        ...

    @property
    def seed(self) -> int:
        """Seed of the initial weights, the batch order and the augmentation."""
        ...

    @property
    def folder(self) -> Path:
        """Folder of its checkpoints, its log and its result."""
        ...

    @property
    def devices(self) -> int:
        """Number of devices; more than there are slots stands for all of them."""
        ...

    @property
    def done(self) -> bool:
        """True if it is trained in full and measured."""
        ...


@dataclass(frozen=True)
class Rules:
    """Length of the trainings, and their retries.

    Attributes:
        epochs: full horizon of a training.
        retries: number of retries of a training whose process died, or whose checkpoint is unreadable, in one run of
            the driver; one that hung is retried once at most.
        halves: whether a training that ran out of memory is retried with every batch cut in two.
    """

    epochs: int
    retries: int
    halves: bool = True


class TrainingList:
    """One run of the driver; a task that is done already is skipped, so that the next run goes on from there."""

    def __init__(
        self,
        executor: Executor,
        tasks: Sequence[Task],
        rules: Rules,
        *,
        latest: Latest,
        on_done: OnDone = lambda _task, _outcome: None,
    ) -> None:
        """Prepare the run.

        Args:
            executor: runs the jobs.
            tasks: the trainings, in this order.
            rules: length of the trainings, and their retries.
            latest: finds the newest checkpoint in a folder.
            on_done: called for each task that this run has completed.
        """
        self._waiting = [task for task in tasks if not task.done]
        self._tasks = {task.folder: task for task in self._waiting}
        self._rules = rules
        self._latest = latest
        self._on_done = on_done
        self._logged: dict[Path, float] = {}
        self._reason: EndReason | None = None
        self._pump = JobPump(executor, self._next_request, self, retries=rules.retries, halve=rules.halves)
        self.failures: dict[Path, Failure] = {}

    def run(self) -> EndReason:
        """Train until every task has ended, or until `stop`.

        Returns:
            `DONE`, or the reason given to `stop`. Tasks that failed for good are in `failures`, by folder.

        Raises:
            DriverStoppedError: the data cannot be read, or no checkpoint can be written.
        """
        try:
            while self._pump.fill():
                self._pump.wait(POLL_SECONDS)
        finally:
            self._pump.close()
        return self._reason or EndReason.DONE

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        """Stop running jobs after their epoch, or kill them `at_once`; they can be resumed in either case."""
        self._reason = self._reason or reason
        self._pump.stop(at_once=at_once)

    def on_submit(self, job: Job) -> None:
        """Count the seconds to the next log line from now on."""
        self._logged[job.folder] = time.monotonic()

    def on_epoch(self, job: Job, row: Epoch) -> None:
        """Log the epoch, at most once in `LOG_SECONDS` for a training."""
        if time.monotonic() - self._logged[job.folder] > LOG_SECONDS:
            self._logged[job.folder] = time.monotonic()
            label = self._tasks[job.folder].label
            log.info("%s: epoch %d/%d, val_accuracy %.4f", label, row.epoch, self._rules.epochs, row.val_accuracy)

    def on_success(self, outcome: Outcome) -> None:
        """Report a task that is done; one that is not, without a stop, was ended from outside and is retried."""
        task = self._tasks[outcome.job.folder]
        if task.done:
            self._on_done(task, outcome)
        elif not self._pump.stopping:
            self._pump.fail(outcome, Failure(FailureKind.DIED, "the training was ended from outside"))

    def on_retry(self, job: Job, failure: Failure, verdict: Verdict) -> None:
        """Put the task back at the head of the list."""
        task = self._tasks[job.folder]
        if verdict is Verdict.DROP_CHECKPOINT:
            log.info("%s: goes on without its last checkpoint, %s", task.label, failure.message)
        if verdict is Verdict.HALVE_BATCHES:
            log.info("%s: goes on with half batches, %s", task.label, failure.message)
            write_bytes(job.folder / HALVES, b"")
        self._waiting.insert(0, task)

    def on_give_up(self, outcome: Outcome, failure: Failure) -> None:
        """Record the failure of a task."""
        self.failures[outcome.job.folder] = failure
        log.info("%s: failed, %s", self._tasks[outcome.job.folder].label, failure.message)

    def on_stop(self, job: Job) -> None:
        """Do nothing: the task's folder tells the next run how far it is."""

    def _next_request(self) -> Request | None:
        if not self._waiting:
            return None
        task = self._waiting.pop(0)
        return Request(task.number, task.devices, lambda devices: self._job(task, devices))

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


def next_attempt(folder: Path) -> int:
    """Return one more than the highest attempt that left a file in `folder`, so that a straggler can do no harm."""
    found = [re.match(r"\.?attempt(\d+)-", path.name) for path in folder.glob("*attempt*")]
    return 1 + max((int(match[1]) for match in found if match), default=0)
