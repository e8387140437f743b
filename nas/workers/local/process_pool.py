"""Child processes as the driver sees them: how they are started, spoken to, and let go of."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, final

from nas.jobs import Job, Runner
from nas.workers.local.process_group import Rank
from nas.workers.local.process_reuse import ONE_JOB, Tenure
from nas.workers.local.worker_process import serve

GRACE_SECONDS = 5.0


@final
@dataclass(frozen=True, eq=False)
class Child:
    """A child process, and the driver's end of the pipe to it."""

    process: ForkServerProcess
    connection: Connection

    @property
    def ready(self) -> bool:
        """Whether it lives and waits for a job, as far as one can see."""
        return self.process.is_alive() and not self.connection.poll()

    def send(self, order: Job | str) -> bool:
        """Give an order; whether it could be given."""
        try:
            self.connection.send(order)
        except OSError:
            return False  # the child is gone
        return True

    def receive(self) -> Any:
        """Its next message; None where there will be no other."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()


@final
class Family:
    """Starts children from a fork server, and sees them off."""

    def __init__(self, runner: Runner, tenure: Tenure, preload: Sequence[str]) -> None:
        """Prepare; the fork server starts with the first child.

        Args:
            runner: carries out the jobs of all children; picklable.
            tenure: how many jobs a child serves.
            preload: modules that the fork server imports once for all children.
        """
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._runner = runner
        self._tenure = tenure
        self._leaving: list[tuple[ForkServerProcess, float]] = []

    @property
    def leaving(self) -> int:
        """Children that have been let go of and have not ended yet."""
        return len(self._leaving)

    def start(self, device: str | None) -> Child:
        """A fresh child that sees `device`, every device for None, and waits for its first job."""
        return self._start(self._runner, device, self._tenure)

    def start_ranks(self, devices: Sequence[str | None], meeting: Path) -> tuple[Child, ...]:
        """A fresh child a device, which wait for one job that they carry out together.

        Args:
            devices: what each sees, as for `start`.
            meeting: a file by which they find each other; it does not exist yet.
        """
        ranks = [Rank(self._runner, index, meeting) for index in range(len(devices))]
        return tuple(self._start(rank, device, ONE_JOB) for rank, device in zip(ranks, devices, strict=True))

    def _start(self, runner: Runner, device: str | None, tenure: Tenure) -> Child:
        ours, theirs = self._context.Pipe()
        arguments = (runner, theirs, device, tenure)
        process = self._context.Process(target=serve, args=arguments, name="nas slot", daemon=True)
        with _deaf_to_interrupts():
            process.start()
        theirs.close()  # so that the child's death shows as the end of the pipe
        return Child(process, ours)

    def let_go(self, child: Child, patience: float = GRACE_SECONDS) -> None:
        """Close the pipe, upon which a child ends by itself; one that has not after `patience` seconds is killed."""
        child.connection.close()
        self._leaving.append((child.process, time.monotonic() + patience))

    def reap(self, *, patient: bool = False) -> None:
        """Forget the children that have ended; no slot waits until its last child's memory is given back.

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
