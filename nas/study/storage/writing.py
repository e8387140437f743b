"""Writing to a database that another process may hold for a moment, or whose disk may be full."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries; SQLite itself has waited before each of them."""

_MOMENTARY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_LAWS = {
    "SQLITE_BUSY": "the study must be free for its search to write, another process held it through every try",
    "SQLITE_LOCKED": "the study must be free for its search to write, another process held it through every try",
    "SQLITE_FULL": "the disk must have room for the study",
    "SQLITE_READONLY": "the study must stay writable while a search runs",
    "SQLITE_CANTOPEN": "the study must stay where it is while a search runs",
    "SQLITE_IOERR": "the study's disk must take what is written to it",
}

T = TypeVar("T")


class StorageError(ValueError):
    """The study cannot be written to; what stands in it is intact, and a search can be resumed once it can."""


def write(act: Callable[[], T], where: object) -> T:
    """What `act` returns, tried again with growing pauses while another process holds the database.

    Args:
        act: one transaction, which leaves nothing behind when it fails.
        where: what is written to, named in the error.

    Raises:
        StorageError: the database stays locked, or cannot be written to; the message says why.
    """
    for pause in (*PAUSES, None):
        try:
            return act()
        except (StorageInternalError, OperationalError) as error:
            code = _code(error)
            law = next((law for name, law in _LAWS.items() if code.startswith(name)), None)
            if law is None:
                raise
            if pause is None or not code.startswith(_MOMENTARY):
                raise StorageError(f"{law}, got {_first(error)} for {where}") from error
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _code(error: BaseException) -> str:
    """SQLite's name of what went wrong, empty where SQLite said nothing."""
    return next((link.sqlite_errorname for link in _behind(error) if isinstance(link, sqlite3.OperationalError)), "")


def _first(error: BaseException) -> str:
    return next((str(link) for link in _behind(error) if isinstance(link, sqlite3.OperationalError)), str(error))


def _behind(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
