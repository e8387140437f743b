"""File lock that admits one driver a folder, released by the operating system when its holder dies.

It locks a study in SQLite. One in PostgreSQL has the lock of `postgres_lock` too, which other machines see.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

from nas.jobs.links import refuse_shared
from nas.study.storage.errors import StudyLockedError

LOCK_FILE = "driver.lock"
TRIES = 5
PAUSE_SECONDS = 0.05


class FolderLock:
    """Exclusive lock on a folder, held until `release` or until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Args:
            folder: of a study, a table or retrained networks; it exists.

        Raises:
            StudyLockedError: another process holds it.
            LinkError: the lock file is a link, or no file.
        """
        path = folder / LOCK_FILE
        refuse_shared(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        self._file: IO[str] = os.fdopen(descriptor, "a+", encoding="utf-8")
        if not _try_lock(self._file):
            self._file.seek(0)
            holder = _describe_holder(self._file.read())
            self._file.close()
            raise StudyLockedError(f"one search at a time may drive a study, {folder} is driven by {holder}")
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(OSError):  # the disk is full: the lock holds, and what is written next says so
            self._file.truncate(0)
            json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": started}, self._file)
            self._file.flush()

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the lock on `folder` now."""
    try:
        # A reader need not be allowed to write. A link or a pipe is no lock.
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            return False
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _try_lock(file: IO[str]) -> bool:
    """Return whether the lock was taken, after a few tries: `is_locked` of a reader holds it for a moment."""
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS if left else 0)
        else:
            return True
    return False


def _describe_holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process that has just started"
