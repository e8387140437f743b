"""Driver of a known list of trainings: retraining, and the making of tables."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from nas.evaluation.list_watch import ListWatch
from nas.evaluation.pump import JobPump, Request
from nas.jobs import EndReason, Epoch, Executor, Failure, FailureKind, Job, Outcome
from nas.jobs.failures import Verdict
from nas.jobs.files import write_bytes
from nas.study.list_progress import ListObserver, ListProgress

POLL_SECONDS = 0.5
LOG_SECONDS = 20.0
HALVES = "halves"
"""File that marks the folder of a training whose batches are cut in two, since it ran out of memory."""

CheckpointEpochs = Callable[[Path], Mapping[int, Path]]
"""Returns the checkpoints in a folder by their epoch, of several of one epoch the newest."""

PackSizes = Callable[[Mapping[str, Any]], int]
"""Returns the number of trainings of an architecture, in its JSON form, that are trained together at most."""

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
        pack: number of trainings of one network that are trained together.
        log_seconds: least seconds between two logged epochs of a training.
    """

    epochs: int
    retries: int
    halves: bool = True
    pack: PackSizes = lambda _architecture: 1
    log_seconds: float = LOG_SECONDS


class TrainingList:
    """One run of the driver; a task that is done already is skipped, so that the next run goes on from there."""

    def __init__(
        self,
        executor: Executor,
        tasks: Sequence[Task],
        rules: Rules,
        *,
        epochs: CheckpointEpochs,
        on_done: OnDone = lambda _task, _outcome: None,
        observer: ListObserver | None = None,
    ) -> None:
        """Prepare the run.

        Args:
            executor: runs the jobs.
            tasks: the trainings, in this order.
            rules: length of the trainings, and their retries.
            epochs: finds the checkpoints in a folder, by epoch.
            on_done: called for each task that this run has completed.
            observer: shows the progress; without one, epochs are logged now and then, with the time left.
        """
        self._waiting = [task for task in tasks if not task.done]
        self._tasks = {task.folder: task for task in self._waiting}
        self._rules = rules
        self._epochs = epochs
        self._on_done = on_done
        self._observer = observer
        reached = {task.folder: max(epochs(task.folder), default=0) for task in self._waiting}
        self._watch = ListWatch(self._tasks, reached, total=len(tasks), epochs=rules.epochs, slots=executor.slots)
        self._logged: dict[Path, float] = {}
        self._alone: set[Path] = set()
        self._slots = executor.slots
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
                self._show()
                self._pump.wait(POLL_SECONDS)
        finally:
            self._pump.close()
            if self._observer is not None:
                self._observer.on_end(self._progress())
        return self._reason or EndReason.DONE

    def _show(self) -> None:
        if self._observer is not None:
            self._observer.on_progress(self._progress())

    def _progress(self) -> ListProgress:
        return self._watch.progress(self._pump.running, stopping=self._pump.stopping)

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        """Stop running jobs after their epoch, or kill them `at_once`; they can be resumed in either case."""
        self._reason = self._reason or reason
        self._pump.stop(at_once=at_once)

    def on_submit(self, job: Job) -> None:
        """Count the seconds to the next log line from now on."""
        self._watch.on_submit(job)
        self._logged[job.folder] = time.monotonic()

    def on_epoch(self, job: Job, row: Epoch) -> None:
        """Log the epoch, at most once in the rules' `log_seconds` for a training, unless an observer shows it."""
        self._watch.on_epoch(job, row)
        if self._observer is None and time.monotonic() - self._logged[job.folder] > self._rules.log_seconds:
            self._logged[job.folder] = time.monotonic()
            label = self._tasks[job.folder].label
            accuracy = "" if row.val_accuracy is None else f", val_accuracy {row.val_accuracy:.4f}"
            left = self._watch.seconds_left
            rest = "" if left is None else f", {int(left) // 60}:{int(left) % 60:02d} left of all trainings"
            log.info("%s: epoch %d/%d%s%s", label, row.epoch, self._rules.epochs, accuracy, rest)

    def on_success(self, outcome: Outcome) -> None:
        """Report a task that is done; one that is not, without a stop, was ended from outside and is retried."""
        task = self._tasks[outcome.job.folder]
        if task.done:
            self._watch.on_done(task.folder)
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
        self._alone.add(task.folder)
        self._waiting.insert(0, task)

    def on_give_up(self, outcome: Outcome, failure: Failure) -> None:
        """Record the failure of a task."""
        self.failures[outcome.job.folder] = failure
        self._watch.on_give_up(outcome.job.folder)
        log.info("%s: failed, %s", self._tasks[outcome.job.folder].label, failure.message)

    def on_stop(self, job: Job) -> None:
        """Do nothing: the task's folder tells the next run how far it is."""

    def _next_request(self) -> Request | None:
        if not self._waiting:
            return None
        task = self._waiting.pop(0)
        return Request(task.number, task.devices, lambda devices: self._job(task, devices))

    def _job(self, task: Task, devices: int) -> Job:
        """Return the job of a task, together with those of the waiting tasks that are trained in a pack with it."""
        epoch, companions = self._pack(task)
        for companion in companions:
            self._waiting.remove(companion)
        if companions:
            log.info("%s: trained with %s", task.label, ", ".join(each.label for each in companions))
        first, *others = [self._plain_job(each, epoch, devices) for each in (task, *companions)]
        return replace(first, pack=tuple(others))

    def _pack(self, task: Task) -> tuple[int, list[Task]]:
        """Return the epoch at which a task goes on, and the waiting tasks that go on with it.

        A pack writes its members' checkpoints one after another, so that after a kill some may be an epoch ahead: these
        go back by that epoch.
        """
        own = self._epochs(task.folder)
        reached = max(own, default=0)
        like = [each for each in self._waiting if each.architecture == task.architecture and self._may_be_packed(each)]
        if not like or not self._may_be_packed(task) or (most := self._most(task)) == 1:
            return reached, []
        pairs = [(each, self._epochs(each.folder)) for each in like]
        near = [(each, epochs) for each, epochs in pairs if abs(max(epochs, default=0) - reached) <= 1]
        epoch = min([reached, *(max(epochs, default=0) for _, epochs in near)])
        if epoch and epoch not in own:
            epoch = reached
        found = [each for each, epochs in near if epoch == 0 or epoch in epochs]
        return (epoch, found[: most - 1]) if found else (reached, [])

    def _most(self, task: Task) -> int:
        """Return the number of trainings in a task's pack at most, so that no slot stays idle for a pack."""
        left = 1 + len(self._waiting) + len(self._pump.running)
        return min(math.ceil(left / self._slots), self._rules.pack(task.architecture))

    def _may_be_packed(self, task: Task) -> bool:
        return task.devices == 1 and task.folder not in self._alone and not (task.folder / HALVES).exists()

    def _plain_job(self, task: Task, epoch: int, devices: int) -> Job:
        return Job(
            trial=task.number,
            attempt=next_attempt(task.folder),
            architecture=task.architecture,
            seed=task.seed,
            from_epoch=epoch,
            to_epoch=max(epoch, self._rules.epochs),
            folder=task.folder,
            checkpoint=self._epochs(task.folder)[epoch] if epoch else None,
            micro_batches=2 if (task.folder / HALVES).exists() else 1,
            devices=devices,
        )


def next_attempt(folder: Path) -> int:
    """Return one more than the highest attempt that left a file in `folder`, so that a straggler can do no harm."""
    found = [re.match(r"\.?attempt(\d+)-", path.name) for path in folder.glob("*attempt*")]
    return 1 + max((int(match[1]) for match in found if match), default=0)
