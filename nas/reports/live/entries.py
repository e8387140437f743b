"""Facts about studies for their list, read again for those alone that have changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from nas.study.facts import study_facts
from nas.study.summary import StudyReader

SHARE = 20
"""Time for which facts are shown at least, as a multiple of the processor time that they took."""


@dataclass(frozen=True)
class _Known:
    """Facts about a study, the version of it that they are of, and the time until which they do."""

    version: object | None
    facts: dict[str, Any]
    until: float


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
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def entry(self, name: str) -> dict[str, Any]:
        """Return the name of a study and the facts about it as JSON values."""
        with self._lock:  # one at a time: each may take a second
            known, version = self._known.get(name), self._version(name)
            if known is None or (time.monotonic() >= known.until and (version is None or version != known.version)):
                began = time.thread_time()
                facts = {"name": name, **study_facts(lambda: self._reader(name))}
                until = time.monotonic() + SHARE * (time.thread_time() - began)
                known = self._known[name] = _Known(version, facts, until)
            return known.facts
