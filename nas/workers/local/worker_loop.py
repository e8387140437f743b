"""Main loop of a worker process: receives jobs through a pipe and sends back epochs and outcomes.

The process ends when the driver is gone: children of a fork server survive their driver's SIGKILL, so they have to
notice it themselves.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import final

from nas.jobs import Control, Epoch, Failure, FailureKind, Job, Outcome, Runner
from nas.jobs.failures import disk_failure, is_out_of_memory
from nas.jobs.links import open_log
from nas.workers.local.process_reuse import ProcessReuse, start_seconds

STOP = "stop"
READY = "ready"
"""First message of a process, which can take jobs from then on."""

OOM_SCORE = 500
"""Share of memory, in thousandths, that the system's out-of-memory killer adds to that of this process."""

LOG_FILE = "log.txt"
DRIVER_GONE = 70
"""Exit code of a process whose driver is gone."""


@dataclass(frozen=True)
class Report:
    """Last message about a job.

    Attributes:
        outcome: the job's outcome.
        stays: whether the process waits for another job.
        sent_at: time of sending, by the monotonic clock that all processes of a machine share.
    """

    outcome: Outcome
    stays: bool
    sent_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class MemberEpoch:
    """Message of an epoch of a further job of a pack.

    Attributes:
        member: number of the job in the pack, from 1.
        row: the epoch.
    """

    member: int
    row: Epoch


@final
class PipeControl:
    """Control of one job or pack: sends its epochs to the driver, and keeps the request to stop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()  # each member of a pack is reported by a thread of its own
        self._stop = threading.Event()
        self._times = [time.perf_counter()]

    @property
    def epoch_seconds(self) -> Sequence[float]:
        """Seconds to the end of the first epoch, then from each epoch's end to the next."""
        return [after - before for before, after in pairwise(self._times)]

    def epoch_done(self, row: Epoch) -> None:
        """Send the row to the driver."""
        self._times.append(time.perf_counter())
        self.send(row)

    def send(self, message: Epoch | MemberEpoch) -> None:
        """Send a message to the driver."""
        with self._sending:
            self._connection.send(message)

    def member(self, index: int) -> Control:
        """Return the control of a job of the pack."""
        return self if index == 0 else _MemberControl(index, self)

    def should_stop(self) -> bool:
        """Return whether the job has been asked to end after its epoch."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the job to end after its epoch."""
        self._stop.set()


@final
@dataclass(frozen=True)
class _MemberControl:
    """Control of a further job of a pack."""

    index: int
    pack: PipeControl

    def epoch_done(self, row: Epoch) -> None:
        """Send the row to the driver."""
        self.pack.send(MemberEpoch(self.index, row))

    def should_stop(self) -> bool:
        """Return whether the pack has been asked to end after its epoch."""
        return self.pack.should_stop()


@final
class CommandQueue:
    """Queue of the driver's jobs, filled by a thread; the process exits when the driver is gone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._jobs: SimpleQueue[tuple[Job, PipeControl] | None] = SimpleQueue()
        self._newest = PipeControl(connection)
        self.terminated = False
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> tuple[Job, PipeControl] | None:
        """Wait for the next job and return it; None after SIGTERM."""
        return self._jobs.get()

    def terminate(self, *_: object) -> None:
        """End the running job after its epoch, and the process with it; a signal handler."""
        self.terminated = True
        self._newest.stop()
        self._jobs.put(None)

    def _listen(self) -> None:
        try:
            while True:
                self._take(self._connection.recv())
        except (EOFError, OSError):
            os._exit(DRIVER_GONE)

    def _take(self, command: Job | str) -> None:
        if command == STOP:
            self._newest.stop()  # commands keep their order: it is for the last job received, even if that has ended
            return
        assert isinstance(command, Job)
        self._newest = PipeControl(self._connection)
        if self.terminated:
            self._newest.stop()
        self._jobs.put((command, self._newest))


def serve(connection: Connection, runner: Runner, visible_device: str | None, reuse: ProcessReuse) -> None:
    """Run the jobs that arrive and send their outcomes; entry point of the worker process.

    Args:
        connection: this process' end of the pipe to its driver.
        runner: runs the jobs.
        visible_device: value of CUDA_VISIBLE_DEVICES for the jobs; None leaves the variable as it is.
        reuse: number of jobs before the process ends. It ends after a failure in any case: its state is then unknown.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it goes to the whole group, and the driver decides
    if visible_device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_device
    _die_first()
    commands = CommandQueue(connection)
    signal.signal(signal.SIGTERM, commands.terminate)
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(READY)
    jobs_done, start, stays = 0, None, True
    ready = time.process_time()
    while stays and (command := commands.next()) is not None:
        job, control = command
        began = time.perf_counter()
        outcome = run_job(runner, job, control)
        jobs_done += 1
        start = start_seconds(ready, control.epoch_seconds) if jobs_done == 1 else start
        kept = reuse.keeps(jobs_done, start, time.perf_counter() - began)
        stays = kept and not outcome.failed and not commands.terminated
        with suppress(BrokenPipeError, ConnectionResetError):  # the driver is gone; the next one finds the checkpoint
            connection.send(Report(outcome, stays))
        if stays:
            gc.collect()  # trainers hold reference cycles, which would keep their networks in memory
    os._exit(0)  # the driver has the outcome: an orderly teardown of torch would only hold memory for longer


def _die_first() -> None:
    """Let the system choose this process before its driver, which would take all others along, if memory runs out."""
    with suppress(OSError):  # only on Linux
        adjustment = Path("/proc/self/oom_score_adj")
        adjustment.write_text(str(max(OOM_SCORE, int(adjustment.read_text()))))


def run_job(runner: Runner, job: Job, control: Control) -> Outcome:
    """Run a job, with everything that it prints in the job's log.

    An exception of the runner would be raised again by another attempt, so it becomes the outcome's failure.
    """
    try:
        _redirect_output(job.folder / LOG_FILE)
        return runner(job, control)
    except Exception as error:  # the process boundary: the driver gets the message, the log the traceback
        traceback.print_exc()
        kind = FailureKind.OUT_OF_MEMORY if is_out_of_memory(error) else FailureKind.ERROR
        other = Failure(kind, " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":"))
        return Outcome.failing(job, disk_failure(error) or other)
    finally:
        with suppress(OSError):  # the log is on a full disk, and the outcome says so
            sys.stdout.flush()
            sys.stderr.flush()


def _redirect_output(path: Path) -> None:
    """Append this process' standard output and standard error to the file `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open_log(path)
    os.dup2(file, sys.stdout.fileno() if _has_descriptor(sys.stdout) else 1)
    os.dup2(file, sys.stderr.fileno() if _has_descriptor(sys.stderr) else 2)
    os.close(file)


def _has_descriptor(stream: object) -> bool:
    try:
        return isinstance(stream.fileno(), int)  # type: ignore[attr-defined]  # asked for, not assumed
    except (AttributeError, OSError, ValueError):
        return False
