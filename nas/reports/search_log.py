"""Log of a study's searches: one line an event, with its time, in a file that every run goes on with."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self, final

from nas.jobs.credentials import without_credentials
from nas.jobs.links import open_log
from nas.reports.console import ENDINGS, headline, outcome_text
from nas.study.progress import Progress
from nas.study.trial import Record

LOG_FILE = "search.log"
LOGGER = "nas"

_NAME = r"[\w.-]*(?:passw|secret|token|api[_-]?key)[\w.-]*"
_SECRET = re.compile(
    rf"""(?i)({_NAME}["']?\s*[=:]\s*|--{_NAME}\s+)("[^"]*"|'[^']*'|[^\s,;&}}]+)""",
)


def without_secrets(text: str) -> str:
    """Return a text without credentials in URLs, and without the values of settings whose names speak of secrets.

    >>> without_secrets("url=postgresql://anna:1234@db/nas tracking.api_key=1234")
    'url=postgresql://db/nas tracking.api_key=***'
    >>> without_secrets("{'api_key': '1234'} --token abc password='a b c' kept")
    "{'api_key': ***} --token *** password=*** kept"
    """
    return _SECRET.sub(r"\1***", without_credentials(text))


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


@final
class SearchLog(logging.Handler):
    """Observer that appends what happens to a search to a file, with what the program logs meanwhile.

    A context manager. Nothing depends on the file, so what cannot be written is left out.
    """

    def __init__(self, folder: Path, words: Sequence[str], now: Callable[[], str] = _now) -> None:
        """Open the log.

        Args:
            folder: folder of the study.
            words: command line of the search.
            now: returns the present time as text.
        """
        super().__init__(logging.INFO)
        self._now = now
        self._words = words
        self._file: int | None = None
        self._began = self._stopping = False
        with suppress(OSError):
            self._file = open_log(folder / LOG_FILE)

    def __enter__(self) -> Self:
        logging.getLogger(LOGGER).addHandler(self)
        try:
            program = f"nas {version('inception-nas')}"
        except PackageNotFoundError:
            program = "nas"
        self._write(f"start: {program}, process {os.getpid()}: {' '.join(self._words)}")
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(LOGGER).removeHandler(self)
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write what the program logs."""
        self._write(f"{record.levelname.lower()}: {record.getMessage()}")

    def on_progress(self, progress: Progress) -> None:
        """Write the first progress of the run, and a stop."""
        if not self._began:
            self._began = True
            done = progress.counts.get("complete", 0) + progress.counts.get("pruned", 0)
            begun = done + progress.counts.get("frozen", 0)
            self._write(f"{'resume' if begun else 'begin'} | {headline(progress)}")
        if progress.stopping and not self._stopping:
            self._stopping = True
            self._write(f"stop: the running trainings end after their epoch | {headline(progress)}")

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Write the outcome of a trial."""
        what = f"{record.candidate.summary} | {headline(progress)}"
        self._write(f"trial {record.number} {outcome_text(record, progress)}: {what}")

    def on_end(self, progress: Progress, reason: str) -> None:
        """Write why the search ended."""
        self._write(f"end: {ENDINGS.get(reason, reason)} | {headline(progress)}")

    def _write(self, text: str) -> None:
        if self._file is not None:
            line = f"{self._now()} {' '.join(without_secrets(text).split())}\n"
            with suppress(OSError):
                os.write(self._file, line.encode(errors="backslashreplace"))
