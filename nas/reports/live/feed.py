"""Feed of a study: its document, and what has changed in it since a version that a viewer has."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any, final

from nas.reports.live.answers import encoded

LIVE = "live"
_NOTHING = object()


@final
class Feed:
    """Document of one study with the version at which each part of it last changed.

    A viewer that has the document of some version gets all later changes in one message, however many there were, so
    that a slow viewer costs no memory. Versions are of one feed: those of another one are answered by a whole document.
    """

    def __init__(self) -> None:
        self._identity = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._number = 0
        self._fields: dict[str, tuple[int, Any]] = {}
        self._rows: dict[int, tuple[int, Mapping[str, Any]]] = {}

    @property
    def version(self) -> str:
        """Version of the document now."""
        return self._named(self._number)

    def field(self, name: str) -> Any:
        """Return a field of the document now, None if it is not known."""
        with self._lock:
            return self._field(name)

    def update(self, fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()) -> bool:
        """Take new values; return whether one differs from before.

        Args:
            fields: values of fields; others stay.
            rows: rows of trials by their `n`; others stay.
        """
        with self._lock:
            after = self._number + 1
            changed = {
                name: value for name, value in fields.items() if name not in self._fields or self._field(name) != value
            }
            new = [row for row in rows if (known := self._row(row["n"])) is not row and known != row]
            self._fields |= {name: (after, value) for name, value in changed.items()}
            self._rows |= {row["n"]: (after, row) for row in new}
            self._number += bool(changed or new)
            return bool(changed or new)

    def document(self) -> tuple[str, bytes]:
        """Return the present version, and the whole document as JSON."""
        with self._lock:
            fields = {name: value for name, (_, value) in self._fields.items() if name != LIVE}
            rows = [self._rows[number][1] for number in sorted(self._rows)]
            version, live = self.version, self._field(LIVE)
        if "status" in fields:
            fields["status"] = {**fields["status"], LIVE: live}
        return version, encoded({**fields, "version": version, "trials": rows})

    def since(self, version: str) -> tuple[str, list[tuple[str, bytes]]]:
        """Return the present version, and the events that lead from another one to it.

        Args:
            version: version that a viewer has.

        Returns:
            The version, and events with their data, none if nothing has changed.
        """
        with self._lock:
            number, now = self._number_of(version), self._number
            if number is None:
                return self.version, [("document", encoded({"version": self.version}))]
            changed = {name: value for name, (at, value) in self._fields.items() if at > number}
            rows = [row for _, (at, row) in sorted(self._rows.items()) if at > number]
        live = [(LIVE, encoded(changed.pop(LIVE)))] if LIVE in changed else []
        if changed or rows:
            live.insert(0, ("rows", encoded({"version": self._named(now), "trials": rows, **changed})))
        return self._named(now), live

    def _named(self, number: int) -> str:
        return f"{self._identity}-{number}"

    def _number_of(self, version: str) -> int | None:
        identity, _, number = version.partition("-")
        known = identity == self._identity and number.isdecimal() and len(number) < 16
        return int(number) if known and int(number) <= self._number else None

    def _field(self, name: str) -> Any:
        return self._fields.get(name, (0, None))[1]

    def _row(self, number: int) -> Mapping[str, Any] | None:
        return self._rows.get(number, (0, None))[1]
