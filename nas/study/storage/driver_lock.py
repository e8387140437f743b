"""One driver a study: an advisory lock of PostgreSQL, on a connection of its own.

The server gives the lock back when the connection ends, whichever way: a killed driver leaves nothing behind. The
same connection listens for requests to stop, which therefore reach nobody but the driver of that moment.
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
SIGNATURE = "driver"

# The schema is part of the name: two of one database may hold studies of one name.
_KEY = "SELECT hashtextextended(%s || coalesce(current_schema(), '') || '/' || %s, 0)"
# A lock of 64 bits shows as two halves.
_HOLDER = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s::bigint::oid AND objid = %s::bigint::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_SIGNED = """
    SELECT value_json FROM studies JOIN study_user_attributes USING (study_id) WHERE study_name = %s AND key = %s
"""
# A driver's machine may vanish without a word, which the server is to notice within a minute. Idle it may be for long.
_SETTINGS = """
    SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false),
    (SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout')
"""


@final
class DriverLock:
    """The lock of one study, as one connection sees it.

    Attributes:
        backend: the server's number of this connection.
    """

    def __init__(self, connection: psycopg.Connection[Any], study: str) -> None:
        """Take nothing yet.

        Args:
            connection: to the database; one that is to hold the lock commits by itself and serves nothing else.
            study: the study's name in the database.

        Raises:
            psycopg.Error: the server has gone.
        """
        self._connection, self._study = connection, study
        self.backend = connection.info.backend_pid
        self._key = int(connection.execute(_KEY, (NAMESPACE, study)).fetchall()[0][0])
        self._halves = (self._key >> 32) & 0xFFFFFFFF, self._key & 0xFFFFFFFF
        self._channel = f"nas_stop_{self._key & 0xFFFFFFFFFFFFFFFF:016x}"

    def take(self) -> bool:
        """Take the lock; whether that went well. A holder that was just killed lets go within a moment."""
        self._connection.execute(_SETTINGS)
        for left in reversed(range(TRIES)):
            if self._connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchall()[0][0]:
                self._connection.execute(f"LISTEN {self._channel}".encode())
                return True
            time.sleep(PAUSE_SECONDS if left else 0)
        return False

    @contextmanager
    def making_tables(self) -> Iterator[None]:
        """Nobody else makes tables in this database meanwhile: two at once would stumble over each other."""
        self._connection.execute("SELECT pg_advisory_lock(%s)", (TABLES_KEY,))
        try:
            yield
        finally:
            self._connection.execute("SELECT pg_advisory_unlock(%s)", (TABLES_KEY,))

    def holder(self) -> int | None:
        """The server's number of the connection that holds the lock, None where none does."""
        row = self._connection.execute(_HOLDER, self._halves).fetchone()
        return None if row is None else int(row[0])

    def signature(self) -> dict[str, Any] | None:
        """What the study's latest driver said of itself, None where there is no study yet."""
        try:
            row = self._connection.execute(_SIGNED, (self._study, SIGNATURE)).fetchone()
        except UndefinedTable:
            return None
        return None if row is None else dict(json.loads(row[0]))

    def who(self) -> str:
        """The holder in words."""
        told = self.signature()
        if told is None or told["backend"] != self.holder():
            return "another process that has just started"
        return f"process {told['pid']} on {told['host']} since {told['since']}"

    def end(self, backend: int) -> None:
        """End another connection of this user."""
        self._connection.execute("SELECT pg_terminate_backend(%s)", (backend,))

    def is_alive(self) -> bool:
        """Whether the connection, and with it a lock that was taken, is still there: one round trip."""
        try:
            self._connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def ask_to_stop(self) -> None:
        """Ask whoever holds the lock to end."""
        self._connection.execute(f"NOTIFY {self._channel}".encode())

    def asked(self) -> bool:
        """Whether this holder has been asked to end since the last time, as far as has arrived here: no round trip.

        Raises:
            psycopg.OperationalError: the connection is gone, and the lock with it.
        """
        return bool(list(self._connection.notifies(timeout=0)))

    def close(self) -> None:
        """Give the connection back, and the lock with it."""
        self._connection.close()
