"""Lock of this machine's devices: trainings share it, and a measurement of latencies has them for itself.

It is one file for the whole machine, since a training on a GPU uses the processors too. The operating system releases
the lock when its holder dies.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

VARIABLE = "NAS_LOCK_DIR"
FILE = "inception-nas-devices.lock"
PAUSE_SECONDS = 0.2
LOCKS = Path("/proc/locks")
"""File in which Linux lists locks: kind, mode, process, and file as MAJOR:MINOR:INODE."""

log = logging.getLogger(__name__)


class DeviceBusyError(ValueError):
    """Trainings or another measurement use this machine's devices; the message names the processes where it can."""


def lock_path() -> Path:
    """Return the file of the lock: in $NAS_LOCK_DIR, or else in the folder of temporary files."""
    return Path(os.environ.get(VARIABLE) or tempfile.gettempdir()) / FILE


@final
class SharedDevices:
    """Share in this machine's devices, held until `release`, the end of this object or that of the process."""

    def __init__(self) -> None:
        """Take nothing yet."""
        self._close: weakref.finalize[..., SharedDevices] | None = None
        self._without = False

    def take(self) -> None:
        """Take a share, once no measurement has the devices for itself; nothing if it is held already.

        Trainings do not depend on the lock: where its file can't be opened, the log says so, and they go on without.
        """
        if self._close is not None or self._without:
            return
        try:
            self._close = weakref.finalize(self, os.close, self._waited_for(_opened()))
        except OSError as error:
            self._without = True
            log.warning("measurements of latencies can't tell that this machine trains: %s", error)

    @staticmethod
    def _waited_for(descriptor: int) -> int:
        """Return the descriptor once the share is taken."""
        told = False
        while not _taken(descriptor, fcntl.LOCK_SH):
            if not told:
                log.warning("trainings wait for the end of a measurement of latencies%s", _holders(descriptor))
            told = True
            time.sleep(PAUSE_SECONDS)
        return descriptor

    def release(self) -> None:
        """Give the share back; a second call does nothing."""
        if self._close is not None:
            self._close()
        self._close = None


@contextmanager
def exclusive_devices() -> Iterator[None]:
    """Hold this machine's devices alone for a block; trainings that would start meanwhile wait for its end.

    Raises:
        DeviceBusyError: trainings or another measurement use them, or the lock's file can't be opened.
    """
    try:
        descriptor = _opened()
    except OSError as error:
        raise DeviceBusyError(f"latency must be measured under a lock, {error}: set {VARIABLE} to a folder") from error
    try:
        if not _taken(descriptor, fcntl.LOCK_EX):
            raise DeviceBusyError(
                "latency must be measured while this machine neither trains nor measures, it does"
                f"{_holders(descriptor)}: wait for the end, or stop the search with nas stop study=NAME"
            )
        yield
    finally:
        os.close(descriptor)


def _opened() -> int:
    """Open the file, which may be another user's: a lock needs no right to write."""
    path = lock_path()
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with suppress(OSError):
            os.fchmod(descriptor, 0o644)  # whatever the umask is: other users take the lock too
        return descriptor


def _taken(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(descriptor: int) -> str:
    """Return which processes hold the lock, as words in brackets; empty where the system does not tell."""
    try:
        lines = LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ""
    inode = str(os.fstat(descriptor).st_ino)
    held = [line.split() for line in lines if "->" not in line]
    found = sorted({int(words[4]) for words in held if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode})
    return f" (process {', '.join(map(str, found))})" if found else ""
