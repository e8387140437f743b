"""Reading of a SQLite file that writes nothing: no log, no index, no lock, on read-only media as well.

A file in WAL mode can be opened by SQLite only with its two companions, `-wal` and `-shm`, which it makes where they
are missing. Nothing is missing in a file whose log is absent or empty: it is read as *immutable*, without companions
and without locks, and read again if it has changed meanwhile. Beside a log with contents, of a search that runs or was
killed, the file is opened read-only with its companions; where these can't be used, or the file is a link to another
place, a copy in memory is read.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from nas.study.storage.errors import StorageError

LOGS = ("-wal", "-journal")
INDEX = "-shm"
TRIES = 8
"""Times that a file which changes is read as immutable, or copied, before the reader gives up."""

SETTLED = 1.0
"""Seconds after which the time of a file's change tells it from a later one: the clock of a file system is coarse."""

T = TypeVar("T")
_Stamp = tuple[tuple[int, int] | None, ...]


def read_file(path: Path, act: Callable[[sqlite3.Connection], T], timeout: float) -> T:
    """Return the result of `act` on a connection that can only read.

    Args:
        path: the file.
        act: reads from the connection; may be called more than once.
        timeout: seconds that SQLite waits for a locked file.

    Raises:
        sqlite3.DatabaseError: the file is no undamaged database.
        StorageError: it changes all the time.
    """
    for _ in range(TRIES):
        before = _stamp(path)
        with closing(connect(path, timeout)) as connection:
            try:
                found = act(connection)
            except sqlite3.DatabaseError:
                if not _is_immutable(before) or before == _stamp(path):
                    raise
                continue  # it was written while it was read
        if not _is_immutable(before) or before == _stamp(path):
            return found
    raise StorageError(f"the study must stay as it is while it is read, {path} changed in each of {TRIES} tries")


def version(path: Path) -> object | None:
    """Return a value that differs after every later write to a file; None if it was written just now."""
    now, found = time.time_ns(), _stamp(path)
    newest = max((state[1] for state in found if state), default=now)
    return None if newest > now - SETTLED * 1e9 else found


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Return a connection that can only read a file as it is now.

    Args:
        path: the file.
        timeout: seconds that SQLite waits for a locked file.

    Raises:
        sqlite3.DatabaseError: the file can't be opened.
        StorageError: it has to be copied, and changes all the time.
    """
    real = Path(os.path.realpath(path)) if path.is_symlink() else path
    if _is_immutable(_stamp(real)):
        return _connect(real, "mode=ro&immutable=1", timeout)
    if real is not path:  # SQLite would write to the index of another place
        return _copied(real, timeout)
    if _size(path, LOGS[0]) and _size(path, INDEX) and not _size(path, LOGS[1]):
        connection = _connect(path, "mode=ro", timeout)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:  # its index can be neither used nor made
            connection.close()
        else:
            return connection
    return _copied(path, timeout)


def _connect(path: Path, options: str, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", timeout, check_same_thread=False, uri=True)


def _copied(path: Path, timeout: float) -> sqlite3.Connection:
    """Return a connection to a copy of a file and its logs in memory."""
    for _ in range(TRIES):
        before = _stamp(path)
        with tempfile.TemporaryDirectory(prefix="nas-") as folder:
            copy = Path(folder) / path.name
            for suffix in ("", *LOGS):
                if (source := _beside(path, suffix)).is_file():
                    shutil.copyfile(source, _beside(copy, suffix))
            if before != _stamp(path):
                continue
            memory = sqlite3.connect(":memory:", timeout, check_same_thread=False)
            with closing(sqlite3.connect(copy, timeout)) as whole:
                whole.backup(memory)
            memory.execute("PRAGMA query_only=ON")
            return memory
    raise StorageError(f"the study must stay as it is while it is copied, {path} changed in each of {TRIES} tries")


def _stamp(path: Path) -> _Stamp:
    """Return size and time of change of a file and its logs, None for one that is missing."""
    return tuple(_state(_beside(path, suffix)) for suffix in ("", *LOGS))


def _is_immutable(stamp: _Stamp) -> bool:
    """Return whether the logs are missing or empty."""
    return all(state is None or state[0] == 0 for state in stamp[1:])


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _size(path: Path, suffix: str) -> int:
    state = _state(_beside(path, suffix))
    return state[0] if state else 0


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
