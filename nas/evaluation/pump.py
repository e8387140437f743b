"""Pump of jobs under the drivers of a search and of a list of trainings: keeps the slots of an executor busy.

Requests go in, jobs to free slots, outcomes and retries back to the driver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

from nas.jobs import Epoch, Executor, Failure, FailureKind, Handle, Job, Outcome
from nas.jobs.failures import STOPPING, Verdict, set_aside, verdict

Latest = Callable[[Path], tuple[Path, int] | None]
"""Returns the newest checkpoint in a folder and its epoch, None if there is none."""


SHARED = frozenset((FailureKind.OUT_OF_MEMORY, FailureKind.DIED, FailureKind.DEADLINE, FailureKind.ERROR))
"""Kinds of failure of a process, of which one job of its pack may be the cause: each is retried alone, uncounted."""


class DriverStoppedError(ValueError):
    """Failure that every further training would meet too; the completed ones are stored, the others can be resumed."""


@final
@dataclass(frozen=True)
class Request:
    """A job to be built once its devices are free.

    Attributes:
        trial: number of its trial.
        devices: number of devices asked for; more than there are slots stands for all of them.
        build: builds the job, or the pack of jobs, for the number of devices that it gets.
    """

    trial: int
    devices: int
    build: Callable[[int], Job]


NextRequest = Callable[[], Request | None]
"""Returns the next request for a free slot, None if nothing can start now."""


@final
@dataclass
class RunningJob:
    """A submitted job, alone or of a pack.

    Attributes:
        job: the job.
        handle: its handle, that of the whole pack.
        epoch: epochs trained so far.
        slots: slots that it takes; the first job of a pack counts for all.
        slot: number of the first of them, from 0; numbers of free slots are used again.
    """

    job: Job
    handle: Handle
    epoch: int
    slots: int
    slot: int


class JobListener(Protocol):
    """A driver's reactions to what happens to its jobs."""

    def on_submit(self, job: Job) -> None:
        """Take in a job that starts now."""
        ...

    def on_epoch(self, job: Job, row: Epoch) -> None:
        """Take in a completed epoch of a running job."""
        ...

    def on_success(self, outcome: Outcome) -> None:
        """Take in the outcome of a job that did not fail, which may have been stopped before its last epoch."""
        ...

    def on_retry(self, job: Job, failure: Failure, verdict: Verdict) -> None:
        """Prepare the trial of a failed job to be requested once more, changed as `verdict` says."""
        ...

    def on_give_up(self, outcome: Outcome, failure: Failure) -> None:
        """End the trial of a failed job."""
        ...

    def on_stop(self, job: Job) -> None:
        """Store a failed job's trial as frozen, before `DriverStoppedError` is raised."""
        ...


@final
class JobPump:
    """Keeps the slots of an executor busy.

    A request whose devices are not free yet is not overtaken by later ones: nothing else starts until enough running
    jobs have ended.
    """

    def __init__(
        self, executor: Executor, next_request: NextRequest, listener: JobListener, *, retries: int, halve: bool = True
    ) -> None:
        """Start with free slots.

        Args:
            executor: runs the jobs.
            next_request: called whenever a slot is free.
            listener: reacts to epochs and outcomes.
            retries: number of retries of a job whose process died or whose checkpoint is unreadable; a job that hung
                is retried once at most.
            halve: whether a job that ran out of memory is retried with every batch cut in two.
        """
        self._executor = executor
        self._next_request = next_request
        self._listener = listener
        self._retries = retries
        self._halve = halve
        self._running: dict[Path, RunningJob] = {}
        self._due: Request | None = None
        self._retried: dict[Path, Counter[str]] = {}
        self._stopping = False
        self._at_once = False

    @property
    def running(self) -> list[RunningJob]:
        """The jobs that run now, in order of their submission."""
        return list(self._running.values())

    @property
    def open_trials(self) -> list[int]:
        """Numbers of the trials whose jobs run or wait for their devices."""
        running = [entry.job.trial for entry in self._running.values()]
        return [*running, self._due.trial] if self._due else running

    @property
    def stopping(self) -> bool:
        """True once `stop` was called: no further job starts."""
        return self._stopping

    def fill(self) -> bool:
        """Submit jobs while slots are free; return whether there is an outcome to wait for."""
        while not self._stopping and self._free > 0:
            self._due = self._due or self._next_request()
            if self._due is None:
                break
            devices = min(self._due.devices, self._executor.slots)
            if devices > self._free:
                break
            request, self._due = self._due, None
            self._submit(request.build(devices))
        return bool(self._running) and not self._at_once

    def wait(self, seconds: float) -> None:
        """Wait for outcomes for at most `seconds`, and settle them.

        Raises:
            DriverStoppedError: a job failed for a reason that every further one would meet.
        """
        for ended in self._executor.wait(seconds):
            for outcome in ended.members:
                del self._running[outcome.job.folder]
            for outcome in ended.members:
                if outcome.failure is None:
                    self._listener.on_success(outcome)
                elif len(ended.members) > 1 and outcome.failure.kind in SHARED:
                    self._listener.on_retry(outcome.job, outcome.failure, Verdict.UNPACK)
                else:
                    self.fail(outcome, outcome.failure)

    def fail(self, outcome: Outcome, failure: Failure) -> None:
        """Retry the job of an outcome, or give its trial up.

        Raises:
            DriverStoppedError: every further job would fail for the same reason.
        """
        job, retried = outcome.job, self._retried.setdefault(outcome.job.folder, Counter())
        found = verdict(failure, job, retried, self._retries)
        if found is Verdict.STOP:
            self._listener.on_stop(job)
            raise DriverStoppedError(f"{STOPPING[failure.kind]}: {failure.message}")
        if found is Verdict.GIVE_UP or (found is Verdict.HALVE_BATCHES and not self._halve):
            self._listener.on_give_up(outcome, failure)
            return
        if found is Verdict.DROP_CHECKPOINT:
            set_aside(job)
        retried[failure.kind] += 1
        self._listener.on_retry(job, failure, found)

    def stop(self, *, at_once: bool = False) -> None:
        """Start no further job; running ones stop after their epoch, or are left to `close` if `at_once`.

        It may be called from a signal handler, at any moment.
        """
        self._stopping = True
        self._at_once = self._at_once or at_once
        for entry in self.running:
            entry.handle.stop_after_epoch()

    def close(self) -> None:
        """Kill the running jobs, and forget all."""
        self._executor.close()
        self._running.clear()
        self._due = None

    @property
    def _free(self) -> int:
        return self._executor.slots - sum(entry.slots for entry in self._running.values())

    def _first_free_slot(self) -> int:
        taken = {each.slot + place for each in self._running.values() for place in range(each.slots)}
        return min(set(range(len(taken) + 1)) - taken)

    def _submit(self, job: Job) -> None:
        handle, slot = self._executor.submit(job, self._on_epoch), self._first_free_slot()
        for index, member in enumerate(job.members):
            slots = job.devices if index == 0 else 0
            self._running[member.folder] = RunningJob(member, handle, member.from_epoch, slots, slot)
            self._listener.on_submit(member)
        if self._stopping:  # `stop` was called by a signal handler before the job had a handle
            handle.stop_after_epoch()

    def _on_epoch(self, job: Job, row: Epoch) -> None:
        self._running[job.folder].epoch = row.epoch
        self._listener.on_epoch(job, row)
