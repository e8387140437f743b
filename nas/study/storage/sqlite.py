"""Store of a study in SQLite: the file `study.db` in the study's folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TypeVar, final

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from nas.jobs.files import atomic_path, write_bytes
from nas.jobs.links import refuse_shared
from nas.study.storage import idempotent_rows
from nas.study.storage.folder_lock import is_locked
from nas.study.storage.folder_owner import STUDY_FILE, read_owner
from nas.study.storage.schema import schema_fault
from nas.study.storage.sqlite_retry import retry_while_busy
from nas.study.storage.store import Attributes, Fill, Steps
from nas.study.storage.trial_insert import FastInsertStorage

STUDY_NAME = "study"
STOP_FILE = "stop"
LOCK_TIMEOUT = 30.0
"""Seconds that SQLite itself waits for a locked file."""

_MADE_BY_SEARCH = (
    "SELECT 1 FROM studies JOIN study_user_attributes USING (study_id) WHERE study_name = ? AND key = 'fingerprint'"
)

T = TypeVar("T")


@final
class SqliteStore:
    """Store of one study in a file; its driver is the process that holds the lock on the folder (`folder_lock`)."""

    kind = "sqlite"
    study = STUDY_NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / STUDY_FILE
        self.label = str(folder)
        self.location = str(self._path)

    @cached_property
    def storage(self) -> RDBStorage:
        """Optuna's storage on the file."""
        return _connect(self._path)

    def check(self) -> None:
        """Refuse a file that is no study before Optuna opens it: Optuna would create its tables in any database.

        Raises:
            ValueError: there is no file, it is damaged, or no search made it.
        """
        path = self._path
        if not path.is_file():
            self._check_no_owner()
            raise ValueError(f"a study must be a folder with {STUDY_FILE}, there is none in {self._folder}")
        try:
            with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT)) as connection:
                damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                found = damage == "ok" and connection.execute(_MADE_BY_SEARCH, (STUDY_NAME,)).fetchone()
                fault = schema_fault(connection) if found else None
        except sqlite3.DatabaseError as error:
            raise ValueError(f"a study must be a database made by nas search, got {path}: {error}") from None
        if damage != "ok":
            raise ValueError(f"a study must be an undamaged database, got {path}: {' '.join(damage.split())}")
        if not found:
            raise ValueError(f"a study must have been made by nas search, {path} was not")
        if fault is not None:
            raise ValueError(f"{path} must have {fault}")

    def _check_no_owner(self) -> None:
        if read_owner(self._folder) is not None:
            raise ValueError(
                f"a folder holds one study, {self._folder} belongs to a study in PostgreSQL: add storage=postgres"
            )

    def exists(self) -> bool:
        """Return whether the folder has the file."""
        return self._path.exists()

    def create(self, fill: Fill) -> None:
        """Create the file under another name and rename it.

        Raises:
            ValueError: the folder holds the trainings of a study in PostgreSQL, or the file can't be written.
        """
        self._check_no_owner()
        try:
            retry_while_busy(lambda: self._create(fill), self._path)
        finally:
            self._sweep()

    def _sweep(self) -> None:
        """Delete what an unfinished creation left, also that of a process that was killed."""
        for left in self._folder.glob(f".{STUDY_FILE}.*part*"):
            left.unlink(missing_ok=True)

    def _create(self, fill: Fill) -> None:
        self._sweep()
        with atomic_path(self._path) as temporary:
            with closing(sqlite3.connect(temporary, timeout=LOCK_TIMEOUT)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # a property of the file: once is enough
            storage = _connect(temporary)
            fill(storage, STUDY_NAME)
            storage.remove_session()
            storage.engine.dispose()  # the last connection takes the write-ahead log into the file

    def retry(self, transaction: Callable[[], T]) -> T:
        """Return the result of `transaction`, repeated while another process holds the file.

        Raises:
            StorageError: the file stays locked, or can't be written to; the message says why.
        """
        return retry_while_busy(transaction, self._path)

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:  # noqa: ARG002 - no answer of a file is lost
        """Store a new trial."""
        trial_id = self.retry(lambda: self.storage.create_new_trial(study_id, trial))
        return trial_id, self.storage.get_trial_number_from_id(trial_id)

    def start_trial(self, trial_id: int, trial: FrozenTrial) -> None:
        """Start a trial that waits."""
        self.retry(lambda: idempotent_rows.start_trial(self.storage.engine, trial_id, trial))

    def set_attributes(self, trial_id: int, attributes: Attributes, steps: Steps) -> None:
        """Store user attributes and intermediate values of a trial."""
        self.retry(lambda: idempotent_rows.set_attributes(self.storage.engine, trial_id, attributes, steps))

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """Set the final state of a trial, and its values if it is complete."""
        self.retry(lambda: self.storage.set_trial_state_values(trial_id, state, values))

    def stop_waiting(self) -> None:
        """Do nothing: no wait here is long."""

    def acquire_lock(self) -> None:
        """Refuse a file that is not the study's own; the lock on the folder is the lock on the file.

        Raises:
            LinkError: the file, or one that SQLite writes beside it, is a link or has another name.
        """
        for suffix in ("", "-wal", "-shm", "-journal"):
            refuse_shared(self._folder / f"{STUDY_FILE}{suffix}")

    def record_driver(self) -> None:
        """Do nothing: the lock on the folder names its holder."""

    def release_lock(self) -> None:
        """Do nothing: the lock on the folder is the lock on the file."""

    def is_driven(self) -> bool:
        """Return whether a process holds the lock on the folder."""
        return is_locked(self._folder)

    def request_stop(self) -> None:
        """Ask the driver to stop by a file in the folder."""
        write_bytes(self._folder / STOP_FILE, b"")

    def take_stop_request(self) -> bool:
        """Return whether the folder has that file, and remove it."""
        path = self._folder / STOP_FILE
        if not path.exists():
            return False
        path.unlink()
        return True

    def close(self) -> None:
        """Close the connections to the file."""
        self.storage.remove_session()
        self.storage.engine.dispose()


def _connect(path: Path) -> RDBStorage:
    def connection() -> sqlite3.Connection:
        made = sqlite3.connect(path, timeout=LOCK_TIMEOUT, check_same_thread=False)
        made.execute("PRAGMA synchronous=NORMAL")  # with WAL: safe against any process dying, a third faster
        return made

    # The path is not part of the URL, where `?` and braces would have a meaning.
    return FastInsertStorage(f"sqlite:///{STUDY_FILE}", engine_kwargs={"creator": connection})
