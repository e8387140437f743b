"""Observer that keeps the live progress of a search in a file of the study's folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import final

from nas.study.live import LIVE_FILE, live_document
from nas.study.progress import Progress
from nas.study.trial import Record

LEAST_SECONDS = 1.0
"""Least time between two writes."""


@final
class LiveFile:
    """Writer of `live.json`, which is removed at the end of the search.

    Nothing depends on the file, so one that cannot be written is left out.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        """Remove a file that a killed search has left.

        Args:
            folder: folder of the study.
            now: clock.
        """
        self._path = folder / LIVE_FILE
        self._part = folder / f".{LIVE_FILE}.part"
        self._now = now
        self._written: float | None = None
        self._remove()

    def on_progress(self, progress: Progress) -> None:
        """Write the progress, at most once a second."""
        now = self._now()
        if self._written is not None and now - self._written < LEAST_SECONDS:
            return
        self._written = now
        with suppress(OSError):
            self._write(json.dumps(live_document(progress, time.time()), ensure_ascii=False))

    def on_trial(self, _record: Record, _progress: Progress) -> None:
        """Do nothing: progress follows."""

    def on_end(self, _progress: Progress, _reason: str) -> None:
        """Remove the file."""
        self._remove()

    def _write(self, text: str) -> None:
        """Write the file whole; it need not be on the disk, as nobody needs it after a crash of the machine."""
        self._part.unlink(missing_ok=True)
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        self._part.replace(self._path)

    def _remove(self) -> None:
        for path in (self._path, self._part):
            with suppress(OSError):
                path.unlink()
