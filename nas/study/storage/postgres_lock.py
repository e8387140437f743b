"""Advisory lock of PostgreSQL that admits one driver a study, on a connection of its own.

The server releases the lock when the connection ends, however it ends: a killed driver leaves nothing behind. The same
connection listens for requests to stop, which therefore reach only the driver of that moment. A study in SQLite has the
lock of `folder_lock` alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import psycopg
from psycopg.errors import UndefinedTable

TRIES = 5
PAUSE_SECONDS = 0.1
NAMESPACE = "inception-nas driver of "
TABLES_KEY = 0x6E61732D6F707475
DRIVER_ATTRIBUTE = "driver"

# The schema is part of the key: two schemas of one database may hold studies of one name.
_KEY = "SELECT hashtextextended(%s || coalesce(current_schema(), '') || '/' || %s, 0)"
# pg_locks shows a lock of 64 bits as two halves.
_HOLDER = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s::bigint::oid AND objid = %s::bigint::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_DRIVER = """
    SELECT value_json FROM studies JOIN study_user_attributes USING (study_id) WHERE study_name = %s AND key = %s
"""
# The server notices within a minute that a driver's machine is gone; the connection may be idle for long.
_SETTINGS = """
    SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false),
    (SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout')
"""


@final
class AdvisoryLock:
    """Lock of one study on one connection.

    Attributes:
        backend: process ID of the connection's backend on the server.
    """

    def __init__(self, connection: psycopg.Connection[Any], study: str) -> None:
        """Compute the lock's key; nothing is locked yet.

        Args:
            connection: to the database. One that is to hold the lock is in autocommit mode and has no other use.
            study: name of the study in the database.

        Raises:
            psycopg.Error: the server is gone.
        """
        self._connection, self._study = connection, study
        self.backend = connection.info.backend_pid
        self._key = int(connection.execute(_KEY, (NAMESPACE, study)).fetchall()[0][0])
        self._halves = (self._key >> 32) & 0xFFFFFFFF, self._key & 0xFFFFFFFF
        self._channel = f"nas_stop_{self._key & 0xFFFFFFFFFFFFFFFF:016x}"

    def acquire(self) -> bool:
        """Return whether the lock was taken, after a few tries: that of a killed holder is free a moment later."""
        self._connection.execute(_SETTINGS)
        for left in reversed(range(TRIES)):
            if self._connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchall()[0][0]:
                self._connection.execute(f"LISTEN {self._channel}".encode())
                return True
            time.sleep(PAUSE_SECONDS if left else 0)
        return False

    @contextmanager
    def creating_tables(self) -> Iterator[None]:
        """Hold the database's lock on the creation of tables, which fails when two processes do it at once."""
        self._connection.execute("SELECT pg_advisory_lock(%s)", (TABLES_KEY,))
        try:
            yield
        finally:
            self._connection.execute("SELECT pg_advisory_unlock(%s)", (TABLES_KEY,))

    def holder(self) -> int | None:
        """Return the backend's process ID of the connection that holds the lock, None if none does."""
        row = self._connection.execute(_HOLDER, self._halves).fetchone()
        return None if row is None else int(row[0])

    def recorded_driver(self) -> dict[str, Any] | None:
        """Return the record that the study's latest driver left in it, None if the study does not exist yet."""
        try:
            row = self._connection.execute(_DRIVER, (self._study, DRIVER_ATTRIBUTE)).fetchone()
        except UndefinedTable:
            return None
        return None if row is None else dict(json.loads(row[0]))

    def describe_holder(self) -> str:
        """Return process, host and start of the lock's holder, as an error names it."""
        driver = self.recorded_driver()
        if driver is None or driver["backend"] != self.holder():
            return "another process that has just started"
        return f"process {driver['pid']} on {driver['host']} since {driver['since']}"

    def terminate(self, backend: int) -> None:
        """Terminate another connection of this user."""
        self._connection.execute("SELECT pg_terminate_backend(%s)", (backend,))

    def is_alive(self) -> bool:
        """Return whether the connection, and with it a lock that was taken, still exists: one round trip."""
        try:
            self._connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def request_stop(self) -> None:
        """Notify the lock's holder that it is to stop."""
        self._connection.execute(f"NOTIFY {self._channel}".encode())

    def take_stop_request(self) -> bool:
        """Return whether a request to stop has arrived since the last call: no round trip.

        Raises:
            psycopg.OperationalError: the connection is gone, and the lock with it.
        """
        return bool(list(self._connection.notifies(timeout=0)))

    def close(self) -> None:
        """Close the connection, which releases the lock."""
        self._connection.close()
