"""Store of studies in a PostgreSQL database, with one driver a study and readers on any machine."""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
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

from nas.study.storage import idempotent_rows, rows_one_by_one, trial_reading
from nas.study.storage.errors import StorageError, StudyLockedError, StudyTakenError
from nas.study.storage.folder_owner import check_owner, write_owner
from nas.study.storage.postgres_errors import DatabaseFailure, classify_error
from nas.study.storage.postgres_lock import DRIVER_ATTRIBUTE, AdvisoryLock
from nas.study.storage.store import Attributes, Fill, Steps
from nas.study.storage.trial_reading import NONE, Earlier, LateRows, Query, StoredTrial, study_attributes, study_key
from nas.study.storage.url import (
    DRIVER,
    VARIABLE,
    connection_parameters,
    database_url,
    host_and_database,
    redact_password,
)

DRIVER_PATIENCE, READER_PATIENCE = 600.0, 30.0
"""Seconds that the database may be unreachable before a search stops, and before a reader gives up."""
FIRST_PAUSE, LONGEST_PAUSE, SLICE = 0.05, 15.0, 0.5
"""Seconds between tries, doubled from the first to the longest, and between looks for `stop_waiting`."""
LISTED = 20
"""Studies that an error lists at most."""

_ERRORS = (SQLAlchemyError, StorageInternalError, psycopg.Error)
_STUDIES = """
    SELECT study_name, mark.key IS NOT NULL AND study_name NOT LIKE '.%.part'
    FROM studies LEFT JOIN study_user_attributes mark ON mark.study_id = studies.study_id AND mark.key = 'fingerprint'
    ORDER BY study_name
"""

log = logging.getLogger(__name__)

T = TypeVar("T")


@final
class PostgresStore:
    """Store of one study in a database that many studies may share; its driver holds an `AdvisoryLock`."""

    kind = "postgres"

    def __init__(self, folder: Path) -> None:
        """Read the database's URL; connections are made later.

        Args:
            folder: of the study, whose name is the study's; for a reader it need not exist.

        Raises:
            ValueError: the environment names no database.
        """
        self._url, self._folder = database_url(), folder
        self._parameters = connection_parameters(self._url)
        self.study = folder.resolve().name
        self.location = f"PostgreSQL at {host_and_database(self._url)}"
        self.label = f"{self.study} in {self.location}"
        self._lock: AdvisoryLock | None = None
        self._token, self._since = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="seconds")
        self._recorded_backend: int | None = None
        self._was_reached = self._stops_waiting = False
        self._connections: set[psycopg.Connection[Any]] = set()
        weakref.finalize(self, _close, self._connections)  # a reader need not call close()

    @cached_property
    def storage(self) -> RDBStorage:
        """Optuna's storage on the database, whose tables only a driver creates.

        Raises:
            ValueError: the tables are of another version of Optuna.
        """
        # The URL is not given to Optuna, which would keep it, and in which braces of a password would have a meaning.
        is_reader = self._lock is None
        try:
            creator = partial(_connect, self._connections, self._parameters)  # no reference to the store: see finalize
            return RDBStorage(f"{DRIVER}://", {"creator": creator}, skip_table_creation=is_reader)
        except RuntimeError as error:
            _close(self._connections)
            message = f"{self.location} must have the tables of Optuna {optuna.__version__}"
            raise ValueError(f"{message}: {' '.join(str(error).split())}") from error

    def attributes(self) -> Mapping[str, Any]:
        """Return the user attributes of the study."""
        return self._read(study_attributes)

    def frozen_trials(self) -> tuple[list[FrozenTrial], dict[int, str]]:
        """Return what `trials` does as Optuna's own trials."""
        key = self.retry(lambda: self.storage.get_study_id_from_name(self.study))
        return rows_one_by_one.read_trials(self.storage, self.retry, key)

    def version(self) -> None:
        """Return nothing: the database tells no version."""

    def trials(self, earlier: Earlier = NONE) -> tuple[list[StoredTrial], dict[int, str]]:
        """Return the trials of the study in order of their numbers, and why others can't be read, by number."""
        late = LateRows(lambda query: self._read(lambda ask, study: list(ask(query, (study,)))))
        return self._read(lambda ask, study: trial_reading.read_trials(ask, study, late, earlier))

    def _read(self, act: Callable[[Query, int], T]) -> T:
        """Return what `act` reads of the study in one transaction."""

        def transaction() -> T:
            engine = self.storage.engine.execution_options(isolation_level="REPEATABLE READ")
            with engine.connect() as connection:

                def ask(query: str, values: tuple[object, ...]) -> Iterable[Any]:
                    return connection.exec_driver_sql(query.replace("?", "%s"), values).all()

                return act(ask, cast("int", study_key(ask, self.study)))

        return self.retry(transaction)

    def check(self) -> None:
        """Refuse a name that is no study before Optuna opens it.

        Raises:
            ValueError: there is none of this name, or no search made it.
        """
        found = self.retry(self.studies)
        if found.get(self.study):
            return
        if self.study in found:
            raise ValueError(f"a study must have been made by nas search, {self.label} was not")
        names = [name for name, made_by_search in found.items() if made_by_search]
        listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
        there = f"there are {listed}" if names else "there is none"
        raise ValueError(f"no study {self.study!r} in {self.location}; {there}")

    def studies(self) -> dict[str, bool]:
        """Return the names of the database's studies, each with True if a search made it."""
        with closing(self._new_connection()) as connection:
            try:
                return {str(name): bool(made_by_search) for name, made_by_search in connection.execute(_STUDIES)}
            except UndefinedTable:
                return {}

    def exists(self) -> bool:
        """Return whether the database has a study of this name."""
        return self.retry(lambda: self._study_id() is not None)

    def create(self, fill: Fill) -> None:
        """Create the study under another name and rename it.

        Raises:
            ValueError: the folder holds the trainings of another study.
        """
        check_owner(self._folder, None, self.label)
        self.retry(lambda: self._create(fill), lambda: True if self._study_id() is not None else None)

    def _create(self, fill: Fill) -> bool:
        part = f".{self.study}.part"
        left = self._study_id(part)
        if left is not None:
            self.storage.delete_study(left)
        fill(self.storage, part)
        study_id = self.storage.get_study_id_from_name(part)
        self.storage.set_study_user_attr(study_id, "identity", uuid.uuid4().hex)
        with self.storage.engine.begin() as connection:
            rename = text("UPDATE studies SET study_name = :name WHERE study_id = :study_id")
            connection.execute(rename, {"name": self.study, "study_id": study_id})
        return True

    def _study_id(self, name: str | None = None) -> int | None:
        with self.storage.engine.connect() as connection:
            query = text("SELECT study_id FROM studies WHERE study_name = :name")
            return cast("int | None", connection.execute(query, {"name": name or self.study}).scalar())

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:
        """Store a new trial once, even if the answer to the first try is lost."""
        engine, value = self.storage.engine, trial.user_attrs[unique]
        return self.retry(
            lambda: idempotent_rows.insert_trial(engine, study_id, trial),
            lambda: idempotent_rows.find_trial(engine, study_id, unique, value),
        )

    def start_trial(self, trial_id: int, trial: FrozenTrial) -> None:
        """Start a trial that waits."""
        self.retry(lambda: idempotent_rows.start_trial(self.storage.engine, trial_id, trial))

    def set_attributes(self, trial_id: int, attributes: Attributes, steps: Steps) -> None:
        """Store user attributes and intermediate values of a trial."""
        self.retry(lambda: idempotent_rows.set_attributes(self.storage.engine, trial_id, attributes, steps))

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """Set a trial's final state, even if an earlier try has done so and its answer was lost."""
        self.retry(
            lambda: self.storage.set_trial_state_values(trial_id, state, values),
            lambda: True if self.storage.get_trial(trial_id).state == state else None,
        )

    def retry(self, transaction: Callable[[], T], find_result: Callable[[], T | None] | None = None) -> T:
        """Return the result of `transaction`, repeated while the database is unreachable.

        Before every try a driver makes sure that it still holds the study's lock.

        Args:
            transaction: leaves nothing behind when it fails.
            find_result: called before another try; returns the result if the last try succeeded and only its answer was
                lost. None for a transaction that may succeed twice without harm.

        Raises:
            StudyTakenError: another driver took the study meanwhile.
            StorageError: the database stays unreachable, or can't be written to; the message says why.
        """
        began, pause, is_repeated = time.monotonic(), FIRST_PAUSE, False
        while True:
            try:
                self._keep_lock()
                found = find_result() if is_repeated and find_result else None
                result = transaction() if found is None else found
            except _ERRORS as error:
                failure = classify_error(error)
                if failure is None:
                    raise
                self._check_patience(failure, time.monotonic() - began, error)
                self._drop_connections()
            else:
                if is_repeated:
                    log.info("the study's database is back after %.1f s", time.monotonic() - began)
                self._was_reached = True
                return result
            if not is_repeated:
                message = redact_password(failure.message, self._url)
                log.warning("the study's database is away, waiting for it: %s", message)
            self._sleep(pause)
            pause, is_repeated = min(2 * pause, LONGEST_PAUSE), True

    def _check_patience(self, failure: DatabaseFailure, waited: float, error: Exception) -> None:
        """Raise StorageError unless waiting longer may help and is wanted."""
        patience = DRIVER_PATIENCE if self._lock else READER_PATIENCE
        if failure.transient and self._was_reached and not self._stops_waiting and waited < patience:
            return
        message = redact_password(failure.message, self._url)
        where = f"{self.location} ({VARIABLE})" if not self._was_reached else self.location
        raise StorageError(f"{failure.law}, got {message} for {where}") from error

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stops_waiting and (left := until - time.monotonic()) > 0:
            time.sleep(min(SLICE, left))

    def stop_waiting(self) -> None:
        """Wait no longer for an unreachable database, in running calls and later ones."""
        self._stops_waiting = True

    def acquire_lock(self) -> None:
        """Take the study's lock, and create the database's tables if there are none.

        Raises:
            StudyLockedError: another process drives the study; the message names it.
        """
        self._lock = self.retry(self._acquired_lock)
        self.retry(self._create_tables)

    def _acquired_lock(self) -> AdvisoryLock:
        lock = self._new_lock()
        if lock.acquire():
            return lock
        holder = lock.describe_holder()
        lock.close()
        raise StudyLockedError(f"one search at a time may drive a study, {self.label} is driven by {holder}")

    def _create_tables(self) -> None:
        with cast("AdvisoryLock", self._lock).creating_tables():
            self.storage  # noqa: B018 - creates them, once

    def record_driver(self) -> None:
        """Record the driver in the study, and the study in its folder.

        Raises:
            ValueError: the folder holds the trainings of another study.
        """
        study_id = cast("int", self.retry(self._study_id))
        identity = self.retry(lambda: self.storage.get_study_user_attrs(study_id))["identity"]
        check_owner(self._folder, identity, self.label)
        write_owner(self._folder, identity)
        self.retry(self._record_driver)

    def _record_driver(self) -> None:
        lock, where = cast("AdvisoryLock", self._lock), {"pid": os.getpid(), "host": socket.gethostname()}
        driver = {"token": self._token, "backend": lock.backend, "since": self._since} | where
        self.storage.set_study_user_attr(cast("int", self._study_id()), DRIVER_ATTRIBUTE, driver)
        self._recorded_backend = lock.backend

    def _keep_lock(self) -> None:
        """Take a driver's lost lock again; do nothing for a reader."""
        if self._lock is None:
            return
        if not self._lock.is_alive():
            self._drop_connections()
            self._lock = self._reacquired_lock(self._lock.backend)
        if self._recorded_backend not in (None, self._lock.backend):
            self._record_driver()

    def _reacquired_lock(self, lost: int) -> AdvisoryLock:
        """Return the lock on a new connection, unless another driver has had it meanwhile.

        Args:
            lost: backend of the lost connection, which the server may take for alive.
        """
        lock = self._new_lock()
        is_ours = lock.acquire()
        if not is_ours and lock.holder() == lost:
            lock.terminate(lost)
            is_ours = lock.acquire()
        driver = lock.recorded_driver() if is_ours else None
        if is_ours and (self._recorded_backend is None or (driver and driver["token"] == self._token)):
            return lock
        if not is_ours:
            holder = lock.describe_holder()
        else:
            holder = f"process {driver['pid']} on {driver['host']}" if driver else "an unknown process"
        lock.close()
        raise StudyTakenError(
            f"a search goes on alone, but {self.label} was taken over by {holder} while the database was away"
        )

    def release_lock(self) -> None:
        """Release the lock and close the connections; later reads open new ones."""
        if self._lock is not None:
            self._lock.close()
        self._lock = self._recorded_backend = None
        self._drop_connections()

    def is_driven(self) -> bool:
        """Return whether a process holds the study's lock."""
        return self.retry(lambda: self._with_foreign_lock(lambda lock: lock.holder() is not None))

    def request_stop(self) -> None:
        """Ask the study's driver to stop by a notification."""
        self.retry(lambda: self._with_foreign_lock(AdvisoryLock.request_stop))

    def take_stop_request(self) -> bool:
        """Return whether the driver was notified; a lost lock is taken again at once."""
        if self._lock is None:
            return False
        try:
            return self._lock.take_stop_request()
        except psycopg.OperationalError:
            self.retry(lambda: None)
            return False

    def close(self) -> None:
        """Close the connections to the database."""
        self._drop_connections()

    def _with_foreign_lock(self, act: Callable[[AdvisoryLock], T]) -> T:
        """Return the result of `act` on the study's lock, which this connection does not take."""
        with closing(self._new_connection(autocommit=True)) as connection:
            return act(AdvisoryLock(connection, self.study))

    def _new_lock(self) -> AdvisoryLock:
        return AdvisoryLock(self._new_connection(autocommit=True), self.study)

    def _new_connection(self, **parameters: Any) -> psycopg.Connection[Any]:
        return _connect(self._connections, self._parameters | parameters)

    def _drop_connections(self) -> None:
        """Close Optuna's connections; new ones are opened when they are needed."""
        if "storage" in self.__dict__:
            with suppress(*_ERRORS):
                self.storage.remove_session()
            self.storage.engine.dispose()


def _connect(connections: set[psycopg.Connection[Any]], parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    connections -= {connection for connection in connections if connection.closed}
    connection = psycopg.connect(**parameters)
    connections.add(connection)
    return connection


def _close(connections: set[psycopg.Connection[Any]]) -> None:
    for connection in connections:
        connection.close()
