"""Store of a study in SQLite: the file `study.db` in the study's folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from optuna.trial import FrozenTrial, TrialState

from nas.jobs.files import atomic_path, write_bytes
from nas.jobs.links import refuse_shared
from nas.study.folders import TRIALS
from nas.study.storage import sqlite_reading
from nas.study.storage.folder_lock import is_locked
from nas.study.storage.folder_owner import STUDY_FILE, read_owner
from nas.study.storage.schema import schema_fault
from nas.study.storage.store import Attributes, Fill, Steps
from nas.study.storage.trial_reading import (
    NONE,
    Earlier,
    LateRows,
    StoredTrial,
    read_trials,
    study_attributes,
    study_key,
)

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from nas.study.storage.sqlite_writer import SqliteWriter

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
    """Store of one study in a file; its driver is the process that holds the lock on the folder (`folder_lock`).

    A store for reading alone writes nothing, not even the files that SQLite keeps beside a database.
    """

    kind = "sqlite"
    study = STUDY_NAME

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        """Connect to nothing yet.

        Args:
            folder: of the study.
            reading: whether the store is for reading alone.
        """
        self._folder = folder
        self._reading = reading
        self._path = folder / STUDY_FILE
        self.label = str(folder)
        self.location = str(self._path)

    @property
    def storage(self) -> BaseStorage:
        """Optuna's storage on the file."""
        return self._writer.storage

    @cached_property
    def _writer(self) -> SqliteWriter:
        return _open_writer(self._path, reading=self._reading)

    def attributes(self) -> Mapping[str, Any]:
        """Return the user attributes of the study.

        Raises:
            ValueError: the file is damaged.
        """
        return self._read(lambda connection: study_attributes(connection.execute, _study(connection)))

    def frozen_trials(self) -> tuple[list[FrozenTrial], dict[int, str]]:
        """Return what `trials` does as Optuna's own trials."""
        return self._writer.frozen_trials(STUDY_NAME)

    def version(self) -> object | None:
        """Return a value that differs after every later write to the file; None if it was written just now."""
        return sqlite_reading.version(self._path)

    def trials(self, earlier: Earlier = NONE) -> tuple[list[StoredTrial], dict[int, str]]:
        """Return the trials of the study in order of their numbers, and why others can't be read, by number.

        Args:
            earlier: the trials of an earlier call, by number; those that had ended are not read again.

        Raises:
            ValueError: the file is damaged.
        """
        late = LateRows(
            lambda text: self._read(lambda connection: connection.execute(text, (_study(connection),)).fetchall())
        )
        return self._read(lambda connection: read_trials(connection.execute, _study(connection), late, earlier))

    def _read(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `act` reads in one transaction."""
        try:
            if self._reading:
                return sqlite_reading.read_file(self._path, partial(_in_transaction, act), LOCK_TIMEOUT)
            return self.retry(lambda: self._read_beside_writes(act))
        except sqlite3.DatabaseError as error:
            raise ValueError(f"a study must be an undamaged database, got {self._path}: {error}") from None

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
            damage, found, fault = sqlite_reading.read_file(path, _checked, LOCK_TIMEOUT)
        except sqlite3.DatabaseError as error:
            raise ValueError(f"a study must be a database made by nas search, got {path}: {error}") from None
        if damage != "ok":
            raise ValueError(f"a study must be an undamaged database, got {path}: {' '.join(damage.split())}")
        if not found:
            raise ValueError(f"a study must have been made by nas search, {path} was not")
        if fault is not None:
            raise ValueError(f"{path} must have {fault}")

    def _read_beside_writes(self, act: Callable[[sqlite3.Connection], T]) -> T:
        with closing(sqlite3.connect(self._path, timeout=LOCK_TIMEOUT)) as connection:
            return _in_transaction(act, connection)

    def _check_no_owner(self) -> None:
        if read_owner(self._folder) is not None:
            raise ValueError(
                f"a folder holds one study, {self._folder} belongs to a study in PostgreSQL: add storage=postgres"
            )

    def exists(self) -> bool:
        """Return whether the folder has the file.

        An empty file is none where nothing was trained yet: any program that opens the database too early makes one.
        """
        if not self._path.is_file() or self._path.stat().st_size > 0:
            return self._path.exists()
        return (self._folder / TRIALS).exists()

    def create(self, fill: Fill) -> None:
        """Create the file under another name and rename it.

        Raises:
            ValueError: the folder holds the trainings of a study in PostgreSQL, or the file can't be written.
        """
        self._check_no_owner()
        try:
            self.retry(lambda: self._create(fill))
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
            writer = _open_writer(temporary, reading=False)
            fill(writer.storage, STUDY_NAME)
            writer.close()

    def retry(self, transaction: Callable[[], T]) -> T:
        """Return the result of `transaction`, repeated while another process holds the file.

        Raises:
            StorageError: the file stays locked, or can't be written to; the message says why.
        """
        return self._writer.retry(transaction)

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:  # noqa: ARG002 - no answer of a file is lost
        """Store a new trial."""
        trial_id = self.retry(lambda: self.storage.create_new_trial(study_id, trial))
        return trial_id, self.storage.get_trial_number_from_id(trial_id)

    def start_trial(self, trial_id: int, trial: FrozenTrial) -> None:
        """Start a trial that waits."""
        self._writer.start_trial(trial_id, trial)

    def set_attributes(self, trial_id: int, attributes: Attributes, steps: Steps) -> None:
        """Store user attributes and intermediate values of a trial."""
        self._writer.set_attributes(trial_id, attributes, steps)

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
        if "_writer" in self.__dict__:
            self._writer.close()


def _checked(connection: sqlite3.Connection) -> tuple[str, bool, str | None]:
    """Return what SQLite says of the file's state, whether a search made the study in it, and what its tables lack."""
    damage = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    found = damage == "ok" and connection.execute(_MADE_BY_SEARCH, (STUDY_NAME,)).fetchone()
    return damage, bool(found), schema_fault(connection) if found else None


def _in_transaction(act: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN")  # all queries see one state of the database
    return act(connection)


def _study(connection: sqlite3.Connection) -> int:
    key = study_key(connection.execute, STUDY_NAME)
    if key is None:
        raise sqlite3.DatabaseError("it holds no study")
    return key


def _open_writer(path: Path, *, reading: bool) -> SqliteWriter:
    from nas.study.storage.sqlite_writer import SqliteWriter  # noqa: PLC0415 - imports SQLAlchemy

    return SqliteWriter(path, LOCK_TIMEOUT, reading=reading)
