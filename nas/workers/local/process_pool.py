"""Worker processes on the driver's side: start, messages, release."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, final

from nas.jobs import Job, Runner
from nas.workers.local.forked_process import ForkedProcess, shared_server
from nas.workers.local.process_group import RankRunner
from nas.workers.local.process_reuse import ONE_JOB, ProcessReuse
from nas.workers.local.worker_loop import READY, serve

GRACE_SECONDS = 5.0


@final
@dataclass(eq=False)
class WorkerProcess:
    """A worker process and the driver's end of the pipe to it.

    Attributes:
        process: the process.
        connection: the driver's end of the pipe.
        ready: whether the process has come as far as to take jobs.
    """

    process: ForkedProcess
    connection: Connection[Any, Any]
    ready: bool = False

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
            message = self.connection.recv()
        except (EOFError, OSError):
            return None
        self.ready = self.ready or message == READY
        return message

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
        self._server = shared_server(preload)
        self._runner = runner
        self._reuse = reuse
        self._ending: list[tuple[ForkedProcess, float]] = []

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
        process, connection = self._server.start(serve, (runner, device, reuse))
        return WorkerProcess(process, connection)

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
