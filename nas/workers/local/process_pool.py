"""Worker processes on the driver's side: start, messages, release."""

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
from nas.workers.local.process_group import RankRunner
from nas.workers.local.process_reuse import ONE_JOB, ProcessReuse
from nas.workers.local.worker_loop import serve

GRACE_SECONDS = 5.0


@final
@dataclass(frozen=True, eq=False)
class WorkerProcess:
    """A worker process and the driver's end of the pipe to it."""

    process: ForkServerProcess
    connection: Connection

    @property
    def is_idle(self) -> bool:
        """True if it appears to be alive and waiting for a job."""
        return self.process.is_alive() and not self.connection.poll()

    def send(self, command: Job | str) -> bool:
        """Send a command; return False if the process is gone."""
        try:
            self.connection.send(command)
        except OSError:
            return False
        return True

    def receive(self) -> Any:
        """Return the next message, or None if the process has closed the pipe."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()


@final
class ProcessPool:
    """Starts worker processes from a fork server, and waits for those that are released."""

    def __init__(self, runner: Runner, reuse: ProcessReuse, preload: Sequence[str]) -> None:
        """Configure the fork server; it starts with the first process.

        Args:
            runner: runs the jobs of all processes; picklable.
            reuse: number of jobs of a process.
            preload: modules that the fork server imports once for all processes.
        """
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._runner = runner
        self._reuse = reuse
        self._ending: list[tuple[ForkServerProcess, float]] = []

    @property
    def ending(self) -> int:
        """Number of released processes that have not ended yet."""
        return len(self._ending)

    def start(self, device: str | None) -> WorkerProcess:
        """Start a process that sees `device`, or every device for None, and waits for its first job."""
        return self._start(self._runner, device, self._reuse)

    def start_ranks(self, devices: Sequence[str | None], rendezvous: Path) -> tuple[WorkerProcess, ...]:
        """Start a process for each device, all of which wait for one job that they run together.

        Args:
            devices: device of each process, as in `start`.
            rendezvous: path of a file by which they form their process group; it does not exist yet.
        """
        ranks = [RankRunner(self._runner, rank, rendezvous) for rank in range(len(devices))]
        return tuple(self._start(rank, device, ONE_JOB) for rank, device in zip(ranks, devices, strict=True))

    def _start(self, runner: Runner, device: str | None, reuse: ProcessReuse) -> WorkerProcess:
        ours, theirs = self._context.Pipe()
        arguments = (runner, theirs, device, reuse)
        process = self._context.Process(target=serve, args=arguments, name="nas slot", daemon=True)
        with interrupts_blocked():
            process.start()
        theirs.close()  # so that the death of the process shows as the end of the pipe
        return WorkerProcess(process, ours)

    def release(self, worker: WorkerProcess, grace: float = GRACE_SECONDS) -> None:
        """Close the pipe, upon which the process ends by itself; kill it if it has not ended after `grace` seconds."""
        worker.connection.close()
        self._ending.append((worker.process, time.monotonic() + grace))

    def reap(self, *, block: bool = False) -> None:
        """Reap the released processes that have ended, and kill those whose grace is over.

        A slot need not wait until the memory of its last process is freed.

        Args:
            block: wait until all of them have ended.
        """
        alive = []
        for process, until in self._ending:
            if process.is_alive() and time.monotonic() > until:
                process.kill()
            if block:
                process.join()
            if process.is_alive():
                alive.append((process, until))
            else:
                process.close()
        self._ending = alive


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it goes to the whole process group, and the driver acts on it.

    A blocked signal stays blocked in the fork server and in all processes that it forks. In the driver itself an
    interrupt is delivered at the end of the block.
    """
    resource_tracker.ensure_running()  # starting it unblocks the signal, so it is started first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
