"""Jobs on this machine: each in a fresh child of a fork server that has the heavy libraries loaded.

A fresh process a job makes a crash, a leak or an out-of-memory kill a matter of that job alone, and costs 0.08 s where
spawning costs 4.4 s.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import final

from nas.jobs import Epoch, Failure, Job, Outcome, Runner
from nas.workers.child import STOP, run_child

GRACE_SECONDS = 5.0
OnEpoch = Callable[[Job, Epoch], None]


@final
@dataclass
class LocalHandle:
    """A job that runs in a child process."""

    job: Job
    process: ForkServerProcess
    connection: Connection
    on_epoch: OnEpoch
    slot: int
    started: float
    rows: list[Epoch] = field(default_factory=list)
    overdue: bool = False

    def stop_after_epoch(self) -> None:
        """Ask the child to end after its current epoch."""
        try:
            self.connection.send(STOP)
        except OSError:
            return  # the child is gone already; `wait` will find that out

    def kill(self) -> None:
        """End the child at once."""
        self.process.kill()


@final
class LocalExecutor:
    """Runs jobs in child processes on this machine."""

    def __init__(
        self,
        runner: Runner,
        devices: Sequence[str | None],
        *,
        preload: Sequence[str] = (),
        deadline_seconds: float | None = None,
    ) -> None:
        """Prepare; the fork server starts with the first job.

        Args:
            runner: carries out a job; picklable.
            devices: one entry a slot, at least one: the GPU that its jobs may see, None for the CPU.
            preload: modules that the fork server imports once for all children.
            deadline_seconds: how long a job may take before it is killed; None for no limit.
        """
        if not devices:
            raise ValueError("an executor needs at least one slot, got none")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._runner = runner
        self._devices = tuple(devices)
        self._deadline = deadline_seconds
        self._handles: list[LocalHandle] = []
        self._leaving: list[tuple[ForkServerProcess, float]] = []

    @property
    def slots(self) -> int:
        """Jobs that can run at once."""
        return len(self._devices)

    @property
    def handles(self) -> tuple[LocalHandle, ...]:
        """The jobs that run now."""
        return tuple(self._handles)

    def submit(self, job: Job, on_epoch: OnEpoch) -> LocalHandle:
        """Start `job` on a free slot, of which there must be one, in a child of its own."""
        self._reap()
        slot = min(set(range(self.slots)) - {handle.slot for handle in self._handles})
        ours, theirs = self._context.Pipe()
        arguments = (self._runner, job, theirs, self._devices[slot])
        process = self._context.Process(target=run_child, args=arguments, name=f"trial {job.trial}", daemon=True)
        with _deaf_to_interrupts():
            process.start()
        theirs.close()  # so that the child's death shows as the end of the pipe
        handle = LocalHandle(job, process, ours, on_epoch, slot, time.monotonic())
        self._handles.append(handle)
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Outcomes of the jobs that end within `timeout` seconds, at the first that does."""
        until = time.monotonic() + timeout
        while True:
            self._reap()
            self._kill_overdue()
            left = max(0.0, until - time.monotonic())
            ready = wait([handle.connection for handle in self._handles], left)
            outcomes = [o for h in list(self._handles) if h.connection in ready and (o := self._receive(h))]
            if outcomes or left == 0.0:
                return outcomes

    def close(self) -> None:
        """Kill every child and wait for its end."""
        for handle in self._handles:
            handle.kill()
            handle.connection.close()
        self._leaving += [(handle.process, 0.0) for handle in self._handles]
        self._handles.clear()
        self._reap(patient=True)

    def _receive(self, handle: LocalHandle) -> Outcome | None:
        """Take one message of a child; its outcome, once there is one."""
        try:
            message = handle.connection.recv()
        except (EOFError, OSError):
            message = None
        if isinstance(message, Epoch):
            handle.rows.append(message)
            handle.on_epoch(handle.job, message)
            return None
        self._handles.remove(handle)
        handle.connection.close()
        if not isinstance(message, Outcome):
            handle.process.join(GRACE_SECONDS)
            message = Outcome(handle.job, tuple(handle.rows), None, _death(handle))
        self._leaving.append((handle.process, time.monotonic() + GRACE_SECONDS))
        return message

    def _reap(self, *, patient: bool = False) -> None:
        """Let go of children that have ended; a slot does not wait for its last child's memory to be given back.

        Args:
            patient: wait for the end of every one of them.
        """
        staying = []
        for process, until in self._leaving:
            if process.is_alive() and time.monotonic() > until:
                process.kill()
            if patient:
                process.join()
            if process.is_alive():
                staying.append((process, until))
            else:
                process.close()
        self._leaving = staying

    def _kill_overdue(self) -> None:
        if self._deadline is None:
            return
        for handle in self._handles:
            if not handle.overdue and time.monotonic() - handle.started > self._deadline:
                handle.overdue = True
                handle.kill()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it goes to the whole group, and the driver decides what it means.

    What is blocked stays blocked in the fork server and in all of its children. For the driver itself an interrupt is
    put off to the end of the block.
    """
    resource_tracker.ensure_running()  # starting it lifts the block, so it is started before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(handle: LocalHandle) -> Failure:
    if handle.overdue:
        return Failure("deadline", f"trial {handle.job.trial} took longer than its deadline and was killed")
    code = handle.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return Failure("died", f"the process of trial {handle.job.trial} ended with {how} and without an outcome")
