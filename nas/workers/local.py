"""Jobs on this machine: each slot has a child of a fork server that has the heavy libraries loaded.

Processes of their own make a crash, a leak or an out-of-memory kill a matter of one job alone. A fresh one costs 0.08 s
where spawning costs 4.4 s; where that and what follows from it still counts, a child serves several jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import final

from nas.jobs import Epoch, Failure, Job, Outcome, Runner
from nas.workers.child import STOP, Report
from nas.workers.family import GRACE_SECONDS, Child, Family
from nas.workers.tenure import ONE_JOB, Tenure

OnEpoch = Callable[[Job, Epoch], None]


@final
@dataclass
class LocalHandle:
    """A job that runs in a child process."""

    job: Job
    child: Child
    on_epoch: OnEpoch
    slot: int
    started: float
    rows: list[Epoch] = field(default_factory=list)
    overdue: bool = False
    ended: bool = False

    def stop_after_epoch(self) -> None:
        """Ask the child to end the job after its current epoch."""
        if not self.ended:  # the child may have another job by now
            self.child.send(STOP)  # where it is gone already, `wait` will find that out

    def kill(self) -> None:
        """End the job at once, and the child with it."""
        if not self.ended:
            self.child.kill()


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

    @property
    def slots(self) -> int:
        """Jobs that can run at once."""
        return len(self._devices)

    @property
    def handles(self) -> tuple[LocalHandle, ...]:
        """The jobs that run now."""
        return tuple(self._handles)

    def submit(self, job: Job, on_epoch: OnEpoch) -> LocalHandle:
        """Start `job` on a free slot, of which there must be one."""
        self._family.reap()
        slot = min(set(range(self.slots)) - {handle.slot for handle in self._handles})
        handle = LocalHandle(job, self._give(job, slot), on_epoch, slot, time.monotonic())
        self._handles.append(handle)
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Outcomes of the jobs that end within `timeout` seconds, at the first that does."""
        until = time.monotonic() + timeout
        while True:
            self._family.reap()
            self._kill_overdue()
            left = max(0.0, until - time.monotonic())
            ready = wait([handle.child.connection for handle in self._handles], left)
            outcomes = [o for h in list(self._handles) if h.child.connection in ready and (o := self._receive(h))]
            if outcomes or left == 0.0:
                return outcomes

    def close(self) -> None:
        """Kill every child and wait for its end."""
        for handle in self._handles:
            handle.kill()
            handle.ended = True
        for child in [*(handle.child for handle in self._handles), *self._idle.values()]:
            self._family.let_go(child, patience=0.0)
        self._handles.clear()
        self._idle.clear()
        self._family.reap(patient=True)

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

    def _receive(self, handle: LocalHandle) -> Outcome | None:
        """Take one message of a child; its outcome, once there is one."""
        message = handle.child.receive()
        if isinstance(message, Epoch):
            handle.rows.append(message)
            handle.on_epoch(handle.job, message)
            return None
        self._handles.remove(handle)
        handle.ended = True
        if isinstance(message, Report) and message.stays:
            self._idle[handle.slot] = handle.child
            return message.outcome
        if not isinstance(message, Report):
            handle.child.process.join(GRACE_SECONDS)
            message = Report(Outcome(handle.job, tuple(handle.rows), None, _death(handle)), stays=False)
        self._family.let_go(handle.child)
        return message.outcome

    def _kill_overdue(self) -> None:
        if self._deadline is None:
            return
        for handle in self._handles:
            if not handle.overdue and time.monotonic() - handle.started > self._deadline:
                handle.overdue = True
                handle.kill()


def _death(handle: LocalHandle) -> Failure:
    if handle.overdue:
        return Failure("deadline", f"trial {handle.job.trial} took longer than its deadline and was killed")
    code = handle.child.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return Failure("died", f"the process of trial {handle.job.trial} ended with {how} and without an outcome")
