"""A study in a file of its own, `study.db` in the study's folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TypeVar, final

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from nas.study.lock import is_held
from nas.study.storage import rows
from nas.study.storage.folder import STUDY_FILE, owner
from nas.study.storage.lean import LeanStorage
from nas.study.storage.store import Attributes, Fill
from nas.study.storage.writing import write

STUDY_NAME = "study"
STOP_FILE = "stop"
LOCK_TIMEOUT = 30.0

_OURS = "SELECT 1 FROM studies JOIN study_user_attributes USING (study_id) WHERE study_name = ? AND key = 'fingerprint'"

T = TypeVar("T")


@final
class SqliteStore:
    """The file of one study; its driver is whoever holds the lock on the folder."""

    kind = "sqlite"
    study = STUDY_NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / STUDY_FILE
        self.place = str(folder)
        self.kept = str(self._path)

    @cached_property
    def storage(self) -> RDBStorage:
        """Optuna's way in."""
        return _connect(self._path)

    def check(self) -> None:
        """Refuse what is no study before Optuna opens it: Optuna would make its tables in any database.

        Raises:
            ValueError: there is no file, it is damaged, or no search made it.
        """
        path = self._path
        if not path.is_file():
            self._check_unmarked()
            raise ValueError(f"a study must be a folder with {STUDY_FILE}, there is none in {self._folder}")
        try:
            with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT)) as connection:
                damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                ours = damage == "ok" and connection.execute(_OURS, (STUDY_NAME,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise ValueError(f"a study must be a database made by nas search, got {path}: {error}") from None
        if damage != "ok":
            raise ValueError(f"a study must be an undamaged database, got {path}: {' '.join(damage.split())}")
        if not ours:
            raise ValueError(f"a study must have been made by nas search, {path} was not")

    def _check_unmarked(self) -> None:
        if owner(self._folder) is not None:
            raise ValueError(
                f"a folder holds one study, {self._folder} belongs to a study in PostgreSQL: add storage=postgres"
            )

    def exists(self) -> bool:
        """Whether the folder has such a file."""
        return self._path.exists()

    def create(self, fill: Fill) -> None:
        """Make the file under another name, and rename it.

        Raises:
            ValueError: the folder holds the trainings of a study in PostgreSQL.
        """
        self._check_unmarked()
        part = self._folder / f".{STUDY_FILE}.part"
        for left in self._folder.glob(f"{part.name}*"):
            left.unlink()
        with closing(sqlite3.connect(part, timeout=LOCK_TIMEOUT)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # a property of the file: once is enough
        storage = _connect(part)
        fill(storage, STUDY_NAME)
        storage.remove_session()
        storage.engine.dispose()  # the last connection takes the write-ahead log into the file
        part.replace(self._path)

    def attempt(self, act: Callable[[], T]) -> T:
        """What `act` returns, tried again while another process holds the file.

        Raises:
            StorageError: it stays locked, or cannot be written to; the message says why.
        """
        return write(act, self._path)

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:  # noqa: ARG002 - no answer of a file is lost
        """Store a new trial."""
        trial_id = self.attempt(lambda: self.storage.create_new_trial(study_id, trial))
        return trial_id, self.storage.get_trial_number_from_id(trial_id)

    def set_attributes(self, trial_id: int, attributes: Attributes) -> None:
        """Store user attributes of a trial."""
        self.attempt(lambda: rows.set_attributes(self.storage.engine, trial_id, attributes))

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial."""
        self.attempt(lambda: self.storage.set_trial_state_values(trial_id, state, values))

    def hurry(self) -> None:
        """Nothing: no wait here is long."""

    def hold(self) -> None:
        """Nothing: the lock on the folder is the lock on the file."""

    def sign(self) -> None:
        """Nothing: the lock on the folder says who holds it."""

    def release(self) -> None:
        """Nothing."""

    def is_driven(self) -> bool:
        """Whether some process holds the lock on the folder."""
        return is_held(self._folder)

    def request_stop(self) -> None:
        """Ask by a file in the folder."""
        (self._folder / STOP_FILE).touch()

    def take_stop_request(self) -> bool:
        """Whether there is that file, which then goes."""
        path = self._folder / STOP_FILE
        if not path.exists():
            return False
        path.unlink()
        return True

    def close(self) -> None:
        """Give the file's connections back."""
        self.storage.remove_session()
        self.storage.engine.dispose()


def _connect(path: Path) -> RDBStorage:
    def connection() -> sqlite3.Connection:
        made = sqlite3.connect(path, timeout=LOCK_TIMEOUT, check_same_thread=False)
        made.execute("PRAGMA synchronous=NORMAL")  # with WAL: safe against any process dying, a third faster
        return made

    # The path goes past the URL, where `?` and braces would have a meaning.
    return LeanStorage(f"sqlite:///{STUDY_FILE}", engine_kwargs={"creator": connection})
