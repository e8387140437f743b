"""Jobs in a process of its own: what runs in the child.

The child obeys its driver through a pipe and ends when the driver is gone: children of a forkserver survive their
driver's SIGKILL, so nobody else would end them.
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
from nas.jobs.failures import disk_failure
from nas.workers.local.process_reuse import Tenure, start_seconds

STOP = "stop"
LOG_FILE = "log.txt"
DRIVER_GONE = 70


@dataclass(frozen=True)
class Report:
    """The last word on a job.

    Attributes:
        outcome: what came of it.
        stays: whether the child waits for another job.
        moment: when it was given, by the clock that all processes of a machine share.
    """

    outcome: Outcome
    stays: bool
    moment: float = field(default_factory=time.monotonic)


@final
class PipeControl:
    """Reports the epochs of one job to the driver, and knows whether it is to stop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stop = threading.Event()
        self._moments = [time.perf_counter()]

    @property
    def epochs(self) -> Sequence[float]:
        """Seconds to the end of the first epoch, then from each to the next."""
        return [after - before for before, after in pairwise(self._moments)]

    def epoch_done(self, row: Epoch) -> None:
        """Send the row to the driver."""
        self._moments.append(time.perf_counter())
        self._connection.send(row)

    def should_stop(self) -> bool:
        """Whether the job has been asked to end after its epoch."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the job to end after its epoch."""
        self._stop.set()


@final
class Orders:
    """What the driver says: jobs one after the other, and to stop one. The child ends when the driver is gone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: SimpleQueue[tuple[Job, PipeControl] | None] = SimpleQueue()
        self._newest = PipeControl(connection)
        self.leaving = False
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> tuple[Job, PipeControl] | None:
        """The next job, when it comes; None once the child has been asked to leave."""
        return self._waiting.get()

    def leave(self, *_: object) -> None:
        """End the running job after its epoch, and the child with it; a handler of signals."""
        self.leaving = True
        self._newest.stop()
        self._waiting.put(None)

    def _listen(self) -> None:
        try:
            while True:
                self._take(self._connection.recv())
        except (EOFError, OSError):
            os._exit(DRIVER_GONE)  # the driver is dead: nobody waits for this job, and it must not outlive it

    def _take(self, order: Job | str) -> None:
        if order == STOP:
            self._newest.stop()  # orders come in order: it is for the last job that came, even where that has ended
            return
        assert isinstance(order, Job)
        self._newest = PipeControl(self._connection)
        if self.leaving:
            self._newest.stop()
        self._waiting.put((order, self._newest))


def serve(runner: Runner, connection: Connection, visible_device: str | None, tenure: Tenure) -> None:
    """Run the jobs that come and send their outcomes; entry point of the child process.

    Args:
        runner: carries out the jobs.
        connection: the child's end of the pipe to its driver.
        visible_device: the GPU that the jobs may see, as CUDA_VISIBLE_DEVICES takes it; None leaves that as it is.
        tenure: when the child leaves. After a failure it does so whatever this says: nobody knows what that has left.
    """
    if visible_device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_device
    orders = Orders(connection)
    signal.signal(signal.SIGTERM, orders.leave)
    served, start, stays = 0, None, True
    ready = time.process_time()
    while stays and (order := orders.next()) is not None:
        job, control = order
        began = time.perf_counter()
        outcome = carry_out(runner, job, control)
        served += 1
        start = start_seconds(ready, control.epochs) if served == 1 else start
        lasts = tenure.goes_on(served, start, time.perf_counter() - began)
        stays = lasts and outcome.failure is None and not orders.leaving
        with suppress(BrokenPipeError, ConnectionResetError):  # the driver is dead; the checkpoint tells its successor
            connection.send(Report(outcome, stays))
        if stays:
            gc.collect()  # trainers refer to themselves, so networks stay until they are looked for
    os._exit(0)  # the outcome is with the driver: tearing torch down would only keep memory


def carry_out(runner: Runner, job: Job, control: Control) -> Outcome:
    """What the runner makes of the job, with all that it prints in the job's log.

    An error that the runner lets out would only be met again by another try, so it is the outcome's failure.
    """
    try:
        _log_to(job.folder / LOG_FILE)
        return runner(job, control)
    except Exception as error:  # the boundary of the process: the driver hears of it, the log has the traceback
        traceback.print_exc()
        other = Failure(FailureKind.ERROR, " ".join(f"{type(error).__name__}: {error}".split()))
        return Outcome(job, (), None, disk_failure(error) or other)
    finally:
        with suppress(OSError):  # the log is on a full disk, and the outcome says so
            sys.stdout.flush()
            sys.stderr.flush()


def _log_to(path: Path) -> None:
    """Send everything that this process prints to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, sys.stdout.fileno() if _has_descriptor(sys.stdout) else 1)
    os.dup2(file, sys.stderr.fileno() if _has_descriptor(sys.stderr) else 2)
    os.close(file)


def _has_descriptor(stream: object) -> bool:
    try:
        return isinstance(stream.fileno(), int)  # type: ignore[attr-defined]  # asked for, not assumed
    except (AttributeError, OSError, ValueError):
        return False
