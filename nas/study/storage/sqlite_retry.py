"""Writes to SQLite: repeated while another process holds the file, refused with the reason if the disk is at fault."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DatabaseError

from nas.jobs.failures import exception_chain
from nas.study.storage.errors import StorageError

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries; SQLite itself has waited before each of them."""

_TRANSIENT = ("SQLITE_BUSY", "SQLITE_LOCKED")
LAWS = {
    "SQLITE_BUSY": "the study must be free for its search to write, another process held it through every try",
    "SQLITE_LOCKED": "the study must be free for its search to write, another process held it through every try",
    "SQLITE_FULL": "the disk must have room for the study",
    "SQLITE_READONLY": "the study must stay writable while a search runs",
    "SQLITE_CANTOPEN": "the study must stay where it is while a search runs",
    "SQLITE_IOERR": "the study's disk must take what is written to it",
    "SQLITE_CORRUPT": "the study must be an undamaged database",
    "SQLITE_NOTADB": "the study must be an undamaged database",
    "SQLITE_ERROR": "the study must have the tables of its version of Optuna",
}
"""Requirement that each of SQLite's errors violates, by the beginning of its name."""

T = TypeVar("T")


def retry_while_busy(transaction: Callable[[], T], path: object) -> T:
    """Return the result of `transaction`, repeated with growing pauses while another process holds the database.

    Args:
        transaction: leaves nothing behind when it fails.
        path: the database, named in the error.

    Raises:
        StorageError: the database stays locked, or can't be written to; the message says why.
    """
    for pause in (*PAUSES, None):
        try:
            return transaction()
        except (StorageInternalError, DatabaseError, sqlite3.DatabaseError) as error:
            code = _code(error)
            law = next((law for name, law in LAWS.items() if code.startswith(name)), None)
            if law is None:
                raise
            if pause is None or not code.startswith(_TRANSIENT):
                raise StorageError(f"{law}, got {_message(error)} for {path}") from error
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _code(error: BaseException) -> str:
    """Return SQLite's name of the error, empty if SQLite did not raise it."""
    return next((link.sqlite_errorname for link in _sqlite_errors(error)), "")


def _message(error: BaseException) -> str:
    return next((str(link) for link in _sqlite_errors(error)), str(error))


def _sqlite_errors(error: BaseException) -> Iterator[sqlite3.DatabaseError]:
    return (link for link in exception_chain(error) if isinstance(link, sqlite3.DatabaseError))
