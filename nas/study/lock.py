"""One driver a study: a lock on the study's folder that the operating system gives back when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

LOCK_FILE = "driver.lock"
TRIES = 5
PAUSE_SECONDS = 0.05


class StudyHeldError(ValueError):
    """Another process drives the study; the message says which."""


class StudyLock:
    """Exclusive lock on a study's folder, held until `release` or until the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Args:
            folder: the study's folder, which exists.

        Raises:
            StudyHeldError: another process holds it.
        """
        self._file: IO[str] = (folder / LOCK_FILE).open("a+", encoding="utf-8")
        if not _taken(self._file):
            self._file.seek(0)
            holder = _describe(self._file.read())
            self._file.close()
            raise StudyHeldError(f"one search at a time may drive a study, {folder} is driven by {holder}")
        self._file.truncate(0)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": started}, self._file)
        self._file.flush()

    def release(self) -> None:
        """Give the lock back; doing so twice does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(folder: Path) -> bool:
    """Whether some process drives the study in `folder` now."""
    try:
        with (folder / LOCK_FILE).open(encoding="utf-8") as file:  # a reader need not be allowed to write
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _taken(file: IO[str]) -> bool:
    """Take the lock; whoever only looks whether it is held, holds it for a moment, so one try is not enough."""
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS if left else 0)
        else:
            return True
    return False


def _describe(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process that has just started"
