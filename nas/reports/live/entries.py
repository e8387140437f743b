"""Facts about studies for their list, read again for those alone that have changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, final

from nas.study.facts import study_facts
from nas.study.summary import StudyReader


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
        """Return the name of a study and the facts about it as JSON values."""
        with self._lock:  # one at a time: each may take a second
            version = self._version(name)
            if version is None or name not in self._known or self._known[name][0] != version:
                self._known[name] = version, {"name": name, **study_facts(lambda: self._reader(name))}
            return self._known[name][1]
