"""Studies in a PostgreSQL database: one driver each, and readers on any machine."""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar, cast, final

import optuna
import psycopg
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from psycopg.errors import UndefinedTable
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from nas.study.lock import StudyHeldError
from nas.study.storage import rows
from nas.study.storage.driver_lock import SIGNATURE, DriverLock
from nas.study.storage.folder import check_owner, mark
from nas.study.storage.store import Attributes, Fill
from nas.study.storage.trouble import Trouble, trouble_of
from nas.study.storage.url import DRIVER, VARIABLE, database_url, parameters, place_of, without_secrets
from nas.study.storage.writing import StorageError

DRIVER_PATIENCE, READER_PATIENCE = 600.0, 30.0
"""Seconds that a database may be away before a search stops, and before a reader gives up."""
FIRST_PAUSE, LONGEST_PAUSE, SLICE = 0.05, 15.0, 0.5
NAMED = 20

_ERRORS = (SQLAlchemyError, StorageInternalError, psycopg.Error)
_STUDIES = """
    SELECT study_name, mark.key IS NOT NULL AND study_name NOT LIKE '.%.part'
    FROM studies LEFT JOIN study_user_attributes mark ON mark.study_id = studies.study_id AND mark.key = 'fingerprint'
    ORDER BY study_name
"""

log = logging.getLogger(__name__)

T = TypeVar("T")


class StudyTakenError(StorageError):
    """Another search took the study over while the database was away; the message says which."""


@final
class PostgresStore:
    """The place of one study in a database that many studies may share."""

    kind = "postgres"

    def __init__(self, folder: Path) -> None:
        """Connect to nothing yet.

        Args:
            folder: the study's folder, whose name the study bears; for a reader it need not be there.

        Raises:
            ValueError: the environment names no database.
        """
        self._url, self._folder = database_url(), folder
        self._parameters = parameters(self._url)
        self.study = folder.resolve().name
        self.kept = f"PostgreSQL at {place_of(self._url)}"
        self.place = f"{self.study} in {self.kept}"
        self._lock: DriverLock | None = None
        self._token, self._since = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="seconds")
        self._signed: int | None = None
        self._reached = self._hurried = False
        self._open: set[psycopg.Connection[Any]] = set()
        weakref.finalize(self, _close, self._open)  # whoever just stops reading leaves none behind

    @cached_property
    def storage(self) -> RDBStorage:
        """Optuna's way in; only a driver makes tables.

        Raises:
            ValueError: the tables are of another version of Optuna.
        """
        # The URL goes past Optuna, which would keep it, and where braces in a password would have a meaning.
        reading = self._lock is None
        try:
            creator = partial(_connection, self._open, self._parameters)  # knows not the store, which may go
            return RDBStorage(f"{DRIVER}://", {"creator": creator}, skip_table_creation=reading)
        except RuntimeError as error:
            _close(self._open)
            said = " ".join(str(error).split())
            raise ValueError(f"{self.kept} must have the tables of Optuna {optuna.__version__}: {said}") from error

    def check(self) -> None:
        """Refuse what is no study before Optuna opens it.

        Raises:
            ValueError: there is none of this name, or no search made it.
        """
        found = self.attempt(self._studies)
        if found.get(self.study):
            return
        if self.study in found:
            raise ValueError(f"a study must have been made by nas search, {self.place} was not")
        ours = [name for name, marked in found.items() if marked]
        listed = ", ".join(ours[:NAMED]) + (", ..." if len(ours) > NAMED else "")
        there = f"there are {listed}" if ours else "there is none"
        raise ValueError(f"no study {self.study!r} in {self.kept}; {there}")

    def _studies(self) -> dict[str, bool]:
        """The studies of the database by name, and whether a search made them."""
        with closing(self._connect()) as connection:
            try:
                return {str(name): bool(ours) for name, ours in connection.execute(_STUDIES)}
            except UndefinedTable:
                return {}

    def exists(self) -> bool:
        """Whether the database has a study of this name."""
        return self.attempt(lambda: self._study_id() is not None)

    def create(self, fill: Fill) -> None:
        """Make the study under another name, and rename it.

        Raises:
            ValueError: the folder holds the trainings of another study.
        """
        check_owner(self._folder, None, self.place)
        self.attempt(lambda: self._make(fill), lambda: True if self._study_id() is not None else None)

    def _make(self, fill: Fill) -> bool:
        part = f".{self.study}.part"
        left = self._study_id(part)
        if left is not None:
            self.storage.delete_study(left)
        fill(self.storage, part)
        made = self.storage.get_study_id_from_name(part)
        self.storage.set_study_user_attr(made, "identity", uuid.uuid4().hex)
        with self.storage.engine.begin() as connection:
            renamed = text("UPDATE studies SET study_name = :name WHERE study_id = :made")
            connection.execute(renamed, {"name": self.study, "made": made})
        return True

    def _study_id(self, name: str | None = None) -> int | None:
        with self.storage.engine.connect() as connection:
            query = text("SELECT study_id FROM studies WHERE study_name = :name")
            return cast("int | None", connection.execute(query, {"name": name or self.study}).scalar())

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:
        """Store a new trial once, even where the answer to the first try is lost."""
        engine, value = self.storage.engine, trial.user_attrs[unique]
        return self.attempt(
            lambda: rows.insert_trial(engine, study_id, trial),
            lambda: rows.find_trial(engine, study_id, unique, value),
        )

    def set_attributes(self, trial_id: int, attributes: Attributes) -> None:
        """Store user attributes of a trial."""
        self.attempt(lambda: rows.set_attributes(self.storage.engine, trial_id, attributes))

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial, even where an earlier try has ended it already and its answer was lost."""
        self.attempt(
            lambda: self.storage.set_trial_state_values(trial_id, state, values),
            lambda: True if self.storage.get_trial(trial_id).state == state else None,
        )

    def attempt(self, act: Callable[[], T], landed: Callable[[], T | None] | None = None) -> T:
        """What `act` returns, tried again while the database is away; a driver makes sure first that it still is one.

        Args:
            act: one transaction, which leaves nothing behind when it fails.
            landed: asked before another try whether the last one took effect after all, its answer lost on the way;
                None where acting twice does no harm.

        Raises:
            StudyTakenError: another driver got the study meanwhile.
            StorageError: the database stays away, or takes no writes; the message says why.
        """
        began, pause, again = time.monotonic(), FIRST_PAUSE, False
        while True:
            try:
                self._keep_lock()
                found = landed() if again and landed else None
                result = act() if found is None else found
            except _ERRORS as error:
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                self._refuse_to_wait(trouble, time.monotonic() - began, error)
                self._forget_connections()
            else:
                if again:
                    log.info("the study's database is back after %.1f s", time.monotonic() - began)
                self._reached = True
                return result
            if not again:
                log.warning(
                    "the study's database is away, waiting for it: %s", without_secrets(trouble.said, self._url)
                )
            self._sleep(pause)
            pause, again = min(2 * pause, LONGEST_PAUSE), True

    def _refuse_to_wait(self, trouble: Trouble, waited: float, error: Exception) -> None:
        patience = DRIVER_PATIENCE if self._lock else READER_PATIENCE
        if trouble.momentary and self._reached and not self._hurried and waited < patience:
            return
        said = without_secrets(trouble.said, self._url)
        where = f"{self.kept} ({VARIABLE})" if not self._reached else self.kept
        raise StorageError(f"{trouble.law}, got {said} for {where}") from error

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._hurried and (left := until - time.monotonic()) > 0:
            time.sleep(min(SLICE, left))

    def hurry(self) -> None:
        """Wait for a database that is away no more."""
        self._hurried = True

    def hold(self) -> None:
        """Take the study's lock, and make the database's tables where there are none.

        Raises:
            StudyHeldError: another process drives the study; the message says which.
        """
        self._lock = self.attempt(self._taken)
        self.attempt(self._make_tables)

    def _taken(self) -> DriverLock:
        lock = self._new_lock()
        if lock.take():
            return lock
        who = lock.who()
        lock.close()
        raise StudyHeldError(f"one search at a time may drive a study, {self.place} is driven by {who}")

    def _make_tables(self) -> None:
        with cast("DriverLock", self._lock).making_tables():
            self.storage  # noqa: B018 - makes them, once

    def sign(self) -> None:
        """Say in the study who drives it, and in its folder whose trainings are there.

        Raises:
            ValueError: the folder holds the trainings of another study.
        """
        study_id = cast("int", self.attempt(self._study_id))
        identity = self.attempt(lambda: self.storage.get_study_user_attrs(study_id))["identity"]
        check_owner(self._folder, identity, self.place)
        mark(self._folder, identity)
        self.attempt(self._sign)

    def _sign(self) -> None:
        lock = cast("DriverLock", self._lock)
        told = {"token": self._token, "backend": lock.backend, "since": self._since}
        told |= {"pid": os.getpid(), "host": socket.gethostname()}
        self.storage.set_study_user_attr(cast("int", self._study_id()), SIGNATURE, told)
        self._signed = lock.backend

    def _keep_lock(self) -> None:
        """Be still the driver, or again; nothing where this is a reader."""
        if self._lock is None:
            return
        if not self._lock.is_alive():
            self._forget_connections()
            self._lock = self._retaken(self._lock.backend)
        if self._signed not in (None, self._lock.backend):
            self._sign()

    def _retaken(self, lost: int) -> DriverLock:
        """The lock on a new connection, where nobody else has had it since.

        Args:
            lost: the server's number of the connection that held it. The server may not know yet that it is lost.
        """
        lock = self._new_lock()
        taken = lock.take()
        if not taken and lock.holder() == lost:
            lock.end(lost)
            taken = lock.take()
        told = lock.signature() if taken else None
        if taken and (self._signed is None or (told and told["token"] == self._token)):
            return lock
        who = lock.who() if not taken else f"process {told['pid']} on {told['host']}" if told else "nobody knows whom"
        lock.close()
        raise StudyTakenError(
            f"a search goes on alone, but {self.place} was taken over by {who} while the database was away"
        )

    def release(self) -> None:
        """Give the lock back, and the database's connections; who reads on gets new ones."""
        if self._lock is not None:
            self._lock.close()
        self._lock = self._signed = None
        self._forget_connections()

    def is_driven(self) -> bool:
        """Whether some process holds the study's lock."""
        return self.attempt(lambda: self._as_visitor(lambda lock: lock.holder() is not None))

    def request_stop(self) -> None:
        """Notify whoever drives the study."""
        self.attempt(lambda: self._as_visitor(DriverLock.ask_to_stop))

    def take_stop_request(self) -> bool:
        """Whether the driver has been notified; takes a lost lock back at once."""
        if self._lock is None:
            return False
        try:
            return self._lock.asked()
        except psycopg.OperationalError:
            self.attempt(lambda: None)
            return False

    def close(self) -> None:
        """Give the database's connections back."""
        self._forget_connections()

    def _as_visitor(self, look: Callable[[DriverLock], T]) -> T:
        with closing(self._connect(autocommit=True)) as connection:
            return look(DriverLock(connection, self.study))

    def _new_lock(self) -> DriverLock:
        return DriverLock(self._connect(autocommit=True), self.study)

    def _connect(self, **more: Any) -> psycopg.Connection[Any]:
        return _connection(self._open, self._parameters | more)

    def _forget_connections(self) -> None:
        """Drop what is left of connections to a server that went away; new ones are made when they are needed."""
        if "storage" in self.__dict__:
            with suppress(*_ERRORS):
                self.storage.remove_session()
            self.storage.engine.dispose()


def _connection(kept: set[psycopg.Connection[Any]], parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    kept -= {connection for connection in kept if connection.closed}
    made = psycopg.connect(**parameters)
    kept.add(made)
    return made


def _close(connections: set[psycopg.Connection[Any]]) -> None:
    for connection in connections:
        connection.close()
