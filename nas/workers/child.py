"""One job in a process of its own: what runs in the child.

The child obeys its driver through a pipe and ends when the driver is gone: children of a forkserver survive their
driver's SIGKILL, so nobody else would end them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import final

from nas.jobs import Epoch, Failure, Job, Outcome, Runner
from nas.recovery import disk_failure

STOP = "stop"
LOG_FILE = "log.txt"
DRIVER_GONE = 70


@final
class PipeControl:
    """Reports epochs to the driver, and hears from it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stop = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def epoch_done(self, row: Epoch) -> None:
        """Send the row to the driver."""
        self._connection.send(row)

    def should_stop(self) -> bool:
        """Whether the driver has asked the job to end after its epoch."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the job to end after its epoch."""
        self._stop.set()

    def _listen(self) -> None:
        try:
            while True:
                if self._connection.recv() == STOP:
                    self._stop.set()
        except (EOFError, OSError):
            os._exit(DRIVER_GONE)  # the driver is dead: nobody waits for this job, and it must not outlive it


def run_child(runner: Runner, job: Job, connection: Connection, visible_device: str | None) -> None:
    """Run `job` and send its outcome; entry point of the child process.

    Args:
        runner: carries out the job.
        job: what to do.
        connection: the child's end of the pipe to its driver.
        visible_device: the one GPU that the job may see, as CUDA_VISIBLE_DEVICES takes it; None leaves that as it is.
    """
    if visible_device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_device
    control = PipeControl(connection)
    signal.signal(signal.SIGTERM, lambda *_: control.stop())
    outcome = _outcome(runner, job, control)
    with suppress(OSError):  # the log is on a full disk, and the outcome says so
        sys.stdout.flush()
        sys.stderr.flush()
    with suppress(BrokenPipeError, ConnectionResetError):  # the driver is dead; the checkpoint tells its successor
        connection.send(outcome)
    os._exit(0)  # the outcome is with the driver: tearing torch down would only keep the slot busy


def _outcome(runner: Runner, job: Job, control: PipeControl) -> Outcome:
    """What the runner makes of the job; an error that it lets out would only be met again by another try."""
    try:
        _log_to(job.folder / LOG_FILE)
        return runner(job, control)
    except Exception as error:  # the boundary of the process: the driver hears of it, the log has the traceback
        traceback.print_exc()
        other = Failure("error", " ".join(f"{type(error).__name__}: {error}".split()))
        return Outcome(job, (), None, disk_failure(error) or other)


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
