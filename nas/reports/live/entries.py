"""Facts about studies for their list, read again for those alone that have changed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Any, final

from nas.study.overview import overview
from nas.study.summary import StudyReader

BROKEN = "broken"
ERRORS = (ValueError, OSError, sqlite3.Error)


@final
class Entries:
    """Facts about studies by name."""

    def __init__(self, version: Callable[[str], object | None], reader: Callable[[str], StudyReader]) -> None:
        """Know nothing yet.

        Args:
            version: returns a value that changes with the study of a name; None if that is not known.
            reader: opens the study of a name for reading.
        """
        self._version, self._reader = version, reader
        self._known: dict[str, tuple[object, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def entry(self, name: str) -> dict[str, Any]:
        """Return name, state, counts, best network, hypervolume and error of a study as JSON values."""
        with self._lock:  # one at a time: each may take a second
            version = self._version(name)
            if version is None or name not in self._known or self._known[name][0] != version:
                self._known[name] = version, {"name": name, **self._facts(name)}
            return self._known[name][1]

    def _facts(self, name: str) -> dict[str, Any]:
        try:
            reader = self._reader(name)
            try:
                return _facts(reader)
            finally:
                reader.study.close()
        except ERRORS as error:
            return {"state": BROKEN, "error": " ".join(str(error).split())}


def _facts(reader: StudyReader) -> dict[str, Any]:
    status = reader.status_document()
    known = overview(reader.study, reader.records, driven=status["driven"])
    return {
        "state": known["state"],
        "objectives": [axis.name for axis in reader.study.axes],
        "trials": status["trials"],
        "share_done": known["share_done"],
        "best": known["best"],
        "hypervolume": status["hypervolume"],
        "clock_seconds": status["clock_seconds"],
    }
