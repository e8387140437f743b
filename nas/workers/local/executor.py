"""Jobs on this machine: each slot has a child of a fork server that has the heavy libraries loaded.

Processes of their own make a crash, a leak or an out-of-memory kill a matter of one job alone. A fresh one costs 0.08 s
where spawning costs 4.4 s; where that and what follows from it still counts, a child serves several jobs. A job over
several devices takes a slot and a fresh child for each of them, and ends with the first that fails or dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from nas.jobs import Epoch, Failure, FailureKind, Job, Outcome, Runner
from nas.workers.local.process_pool import GRACE_SECONDS, Child, Family
from nas.workers.local.process_reuse import ONE_JOB, Tenure
from nas.workers.local.worker_process import STOP, Report

LAST_WORDS_SECONDS = 2.0
OnEpoch = Callable[[Job, Epoch], None]


@final
@dataclass
class LocalHandle:
    """A job that runs in child processes, one a device; the first speaks for all while all goes well."""

    job: Job
    children: tuple[Child, ...]
    on_epoch: OnEpoch
    slots: tuple[int, ...]
    started: float
    rows: list[Epoch] = field(default_factory=list)
    words: dict[Child, Report | None] = field(default_factory=dict)
    failing: float | None = None
    overdue: bool = False
    ended: bool = False

    @property
    def first(self) -> Child:
        """The child that tells of epochs, and whose outcome is the job's."""
        return self.children[0]

    @property
    def speaking(self) -> tuple[Child, ...]:
        """The children whose last word has not come."""
        return tuple(child for child in self.children if child not in self.words)

    def stop_after_epoch(self) -> None:
        """Ask the children to end the job after its current epoch; the others go by the first."""
        if not self.ended:  # the child may have another job by now
            self.first.send(STOP)  # where it is gone already, `wait` will find that out

    def kill(self) -> None:
        """End the job at once, and its children with it."""
        for child in () if self.ended else self.children:
            child.kill()

    def hear(self, child: Child) -> None:
        """Take one message of a child: an epoch, or its last word, which is None where it died without any."""
        message = child.receive()
        if isinstance(message, Epoch):
            self.rows.append(message)
            self.on_epoch(self.job, message)
        else:
            self.words[child] = message if isinstance(message, Report) else None

    def over(self) -> bool:
        """Whether the job's end is clear: the first has done it, or why a child failed is known.

        A child's error may come of another's death, and reach the driver earlier, so that is waited for a little.
        """
        word = self.words.get(self.first)
        if word is not None and word.outcome.failure is None:
            return True
        failed = [word for word in self.words.values() if word is None or word.outcome.failure]
        if not failed:
            return False
        self.failing = self.failing or time.monotonic()
        clear = any(
            word is None or (word.outcome.failure and word.outcome.failure.kind != FailureKind.ERROR) for word in failed
        )
        return clear or not self.speaking or time.monotonic() > self.failing + LAST_WORDS_SECONDS


@final
class LocalExecutor:
    """Runs jobs in child processes on this machine."""

    def __init__(
        self,
        runner: Runner,
        devices: Sequence[str | None],
        *,
        tenure: Tenure = ONE_JOB,
        preload: Sequence[str] = (),
        deadline_seconds: float | None = None,
    ) -> None:
        """Prepare; the fork server starts with the first job.

        Args:
            runner: carries out a job; picklable.
            devices: one entry a slot, at least one: the GPU that its jobs may see, None for the CPU.
            tenure: how many jobs a child serves.
            preload: modules that the fork server imports once for all children.
            deadline_seconds: how long a job may take before it is killed; None for no limit.
        """
        if not devices:
            raise ValueError("an executor needs at least one slot, got none")
        self._family = Family(runner, tenure, preload)
        self._devices = tuple(devices)
        self._deadline = deadline_seconds
        self._handles: list[LocalHandle] = []
        self._idle: dict[int, Child] = {}
        self._meetings: TemporaryDirectory[str] | None = None
        self._met = 0

    @property
    def slots(self) -> int:
        """Jobs over one device that can run at once."""
        return len(self._devices)

    @property
    def handles(self) -> tuple[LocalHandle, ...]:
        """The jobs that run now."""
        return tuple(self._handles)

    def submit(self, job: Job, on_epoch: OnEpoch) -> LocalHandle:
        """Start `job` on as many free slots as it takes devices, of which there must be enough."""
        self._family.reap()
        free = sorted(set(range(self.slots)) - {slot for handle in self._handles for slot in handle.slots})
        if job.devices > len(free):
            raise ValueError(f"a job over {job.devices} devices needs as many free slots, got {len(free)}")
        slots = tuple(free[: job.devices])
        children = (self._give(job, slots[0]),) if job.devices == 1 else self._spread(job, slots)
        handle = LocalHandle(job, children, on_epoch, slots, time.monotonic())
        self._handles.append(handle)
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Outcomes of the jobs that end within `timeout` seconds, at the first that does."""
        until = time.monotonic() + timeout
        while True:
            self._family.reap()
            self._kill_overdue()
            left = max(0.0, until - time.monotonic())
            ready = wait([child.connection for handle in self._handles for child in handle.speaking], left)
            outcomes = [outcome for handle in list(self._handles) if (outcome := self._listen(handle, ready))]
            if outcomes or left == 0.0:
                return outcomes

    def close(self) -> None:
        """Kill every child and wait for its end."""
        for handle in self._handles:
            handle.kill()
            handle.ended = True
        for child in [*(child for handle in self._handles for child in handle.children), *self._idle.values()]:
            self._family.let_go(child, patience=0.0)
        self._handles.clear()
        self._idle.clear()
        self._family.reap(patient=True)
        if self._meetings is not None:
            self._meetings.cleanup()
            self._meetings = None

    def _give(self, job: Job, slot: int) -> Child:
        """Give the job to the slot's child where it has one that waits, or else to a fresh one."""
        child = self._idle.pop(slot, None)
        if child is not None:
            if child.ready and child.send(job):
                return child
            self._family.let_go(child)
        child = self._family.start(self._devices[slot])
        child.send(job)
        return child

    def _spread(self, job: Job, slots: Sequence[int]) -> tuple[Child, ...]:
        """Give the job to a fresh child on each of the slots."""
        for slot in slots:
            if slot in self._idle:
                self._family.let_go(self._idle.pop(slot))
        self._meetings = self._meetings or TemporaryDirectory(prefix="nas-")
        self._met += 1
        meeting = Path(self._meetings.name) / str(self._met)
        children = self._family.start_ranks([self._devices[slot] for slot in slots], meeting)
        for child in children:
            child.send(job)
        return children

    def _listen(self, handle: LocalHandle, ready: Sequence[object]) -> Outcome | None:
        """Take a message of each child of a job that has one; the job's outcome, once there is one."""
        for child in handle.speaking:
            if child.connection in ready:
                handle.hear(child)
        if not handle.over():
            return None
        self._handles.remove(handle)
        handle.ended = True
        word = handle.words.get(handle.first)
        if word is not None and word.stays:
            self._idle[handle.slots[0]] = handle.first
            return word.outcome
        outcome = word.outcome if word is not None and word.outcome.failure is None else self._failure(handle)
        for child in handle.children:
            self._family.let_go(child)
        return outcome

    def _failure(self, handle: LocalHandle) -> Outcome:
        """What a job came to of which a child failed or died; the others are killed.

        One that died takes the others' exchange of gradients with it, and so is what their failures come from.
        """
        for child in handle.speaking:
            while child not in handle.words and child.connection.poll():
                handle.hear(child)  # epochs that the first has told of, or a death at the same time
        for child in handle.speaking:
            child.kill()
        word, failure = handle.words.get(handle.first), _why(handle)
        if word is not None and word.outcome.failure is failure:
            return word.outcome
        return Outcome(handle.job, tuple(handle.rows), None, failure)

    def _kill_overdue(self) -> None:
        if self._deadline is None:
            return
        for handle in self._handles:
            if not handle.overdue and time.monotonic() - handle.started > self._deadline:
                handle.overdue = True
                handle.kill()


def _why(handle: LocalHandle) -> Failure:
    """Why a job failed: its deadline, a death, a failure of a kind of its own, or the first error, in this order."""
    if handle.overdue:
        return Failure(FailureKind.DEADLINE, f"trial {handle.job.trial} took longer than its deadline and was killed")
    dead = [child for child, word in handle.words.items() if word is None]
    if dead:
        return _death(handle, dead[0])
    failures = [(w.moment, w.outcome.failure) for w in handle.words.values() if w and w.outcome.failure]
    return min(failures, key=lambda failed: (failed[1].kind == FailureKind.ERROR, failed[0]))[1]


def _death(handle: LocalHandle, child: Child) -> Failure:
    child.process.join(GRACE_SECONDS)
    code = child.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    index, count = handle.children.index(child), len(handle.children)
    which = "the process" if count == 1 else f"process {index + 1} of {count}"
    return Failure(FailureKind.DIED, f"{which} of trial {handle.job.trial} ended with {how} and without an outcome")
