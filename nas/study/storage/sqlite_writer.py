"""Optuna's storage on a SQLite file; imports SQLAlchemy, which a reader of a study does without."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar, final

from optuna.trial import FrozenTrial

from nas.study.storage import idempotent_rows
from nas.study.storage.errors import StorageError
from nas.study.storage.rows_one_by_one import read_trials
from nas.study.storage.sqlite_reading import connect
from nas.study.storage.sqlite_retry import LAWS, retry_while_busy
from nas.study.storage.store import Attributes, Steps
from nas.study.storage.trial_insert import FastInsertStorage

T = TypeVar("T")


@final
class SqliteWriter:
    """Writes to a file, and Optuna's storage on it."""

    def __init__(self, path: Path, timeout: float, *, reading: bool) -> None:
        """Connect to nothing yet.

        Args:
            path: the file.
            timeout: seconds that SQLite waits for a locked file.
            reading: whether writes are refused.
        """
        self._path, self._timeout, self._reading = path, timeout, reading
        self._file: int | None = None

    @cached_property
    def storage(self) -> FastInsertStorage:
        """Optuna's storage on the file."""
        # The path is not part of the URL, where `?` and braces would have a meaning.
        return FastInsertStorage(f"sqlite:///{self._path.name}", {"creator": self._connection}, reading=self._reading)

    def _connection(self) -> sqlite3.Connection:
        if self._reading:
            return connect(self._path, self._timeout)
        made = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",  # a file that was deleted is not made again, without tables
            timeout=self._timeout,
            check_same_thread=False,
            uri=True,
        )
        self._file = self._file or self._path.stat().st_ino
        made.execute("PRAGMA synchronous=NORMAL")  # with WAL: safe against any process dying, a third faster
        return made

    def retry(self, transaction: Callable[[], T]) -> T:
        """Return the result of `transaction`, repeated while another process holds the file.

        Raises:
            StorageError: the file can't be written to, or is no longer there: what is written to an open file that was
                deleted is lost without an error.
        """
        if self._file is not None and not self._in_place():
            raise StorageError(f"{LAWS['SQLITE_CANTOPEN']}, got another or no file at {self._path}")
        return retry_while_busy(transaction, self._path)

    def _in_place(self) -> bool:
        try:
            return self._path.stat().st_ino == self._file
        except OSError:
            return False

    def start_trial(self, trial_id: int, trial: FrozenTrial) -> None:
        """Start a trial that waits."""
        self.retry(lambda: idempotent_rows.start_trial(self.storage.engine, trial_id, trial))

    def set_attributes(self, trial_id: int, attributes: Attributes, steps: Steps) -> None:
        """Store user attributes and intermediate values of a trial."""
        self.retry(lambda: idempotent_rows.set_attributes(self.storage.engine, trial_id, attributes, steps))

    def frozen_trials(self, study: str) -> tuple[list[FrozenTrial], dict[int, str]]:
        """Return the trials of a study as Optuna's own, and why others can't be read, by number."""
        key = self.retry(lambda: self.storage.get_study_id_from_name(study))
        return read_trials(self.storage, self.retry, key)

    def close(self) -> None:
        """Close the connections to the file; the last one takes the write-ahead log into it."""
        if "storage" in self.__dict__:
            self.storage.remove_session()
            self.storage.engine.dispose()
