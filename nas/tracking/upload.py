"""Uploads what is recorded while it is recorded, in processes of their own that may hang, fail or be killed.

`wandb sync` reads the run's file on disk: the network has no way to hold up, or to lose, what is recorded. An upload
that fails before it reached the server is started again, so a network that comes back during a search is made use of.
One that reached it is not: `wandb sync` appends, and what had arrived would arrive twice.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

LOG_FILE = "upload.log"
RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 2.0
POLL_SECONDS = 0.05
COMMAND = (sys.executable, "-P", "-m", "wandb")
REACHED = "View run"
TORN = "ends with an incomplete record"


@dataclass(frozen=True)
class Attempt:
    """An upload that runs or has run.

    Attributes:
        process: the process.
        folders: what it uploads.
        log_start: where its words begin in the log.
        began: when, on the monotonic clock.
    """

    process: subprocess.Popen[bytes]
    folders: Sequence[Path]
    log_start: int
    began: float


@final
class Uploader:
    """Two lanes: the study's run, folder by folder and then the one that is being written; and the trials' runs."""

    def __init__(self, folder: Path, current: Path) -> None:
        """Nothing runs yet.

        Args:
            folder: W&B's folder in the study's folder.
            current: the folder in it that is being written.
        """
        self._log = folder / LOG_FILE
        self._log.touch()
        self._folder = folder
        self._current = current
        self._attempts: dict[str, Attempt] = {}
        self._tried: set[Path] = set()
        self._first = time.monotonic()
        self._log_start = self._log.stat().st_size

    def tick(self) -> None:
        """Start what should be running and is not."""
        self._advance(RETRY_SECONDS, live=True)

    def finish(self, seconds: float) -> bool:
        """Wait for what is not uploaded yet, and kill what then still runs; whether everything is uploaded.

        Args:
            seconds: how long; not at all for a server that has not been reached for as long already.
        """
        deadline = time.monotonic() + seconds
        while self._waiting() and time.monotonic() < (deadline if self._reached() else self._first + seconds):
            self._advance(LAST_RETRY_SECONDS, live=False)
            time.sleep(POLL_SECONDS)
        for attempt in self._attempts.values():
            attempt.process.kill()
            attempt.process.wait()
        return not self._unsynced()

    def url(self, run_id: str) -> str | None:
        """Where a run can be seen, as the uploads said it."""
        found = re.findall(rf"{REACHED} .*?at (https?://\S+/{re.escape(run_id)})\s", self._said(0))
        return found[-1] if found else None

    def _advance(self, every: float, *, live: bool) -> None:
        self._settle()
        waiting = self._waiting()
        of_study = [folder for folder in waiting if _run_of(folder) == _run_of(self._current)]
        trials = [folder for folder in waiting if folder not in of_study]
        if of_study and self._may_start("study", every):
            self._start("study", of_study[:1], live=live and of_study[0] == self._current)
        if trials and self._may_start("trials", every):
            self._start("trials", trials, live=False)

    def _settle(self) -> None:
        """Note of uploads that ended without success whether they had reached the server."""
        ended = [attempt for attempt in self._attempts.values() if attempt.process.poll() is not None]
        for attempt in ended:
            said = self._said(attempt.log_start)
            reached = [folder for folder in attempt.folders if REACHED in said and f"/{_run_of(folder)}" in said]
            self._tried.update(reached)
            for folder in reached if TORN in said else ():  # its writer was killed: all there is has been sent
                _mark(folder).touch()

    def _may_start(self, lane: str, every: float) -> bool:
        last = self._attempts.get(lane)
        if last is None:
            return True
        if last.process.poll() is None:
            return False
        went_well = all(_mark(folder).exists() for folder in last.folders)
        return went_well or time.monotonic() - last.began >= every

    def _start(self, lane: str, folders: Sequence[Path], *, live: bool) -> None:
        words = ("beta", "sync", "--live", "--yes") if live else ("sync", "--yes")
        start = self._log.stat().st_size
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, *words, *map(str, folders)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._attempts[lane] = Attempt(process, tuple(folders), start, time.monotonic())

    def _reached(self) -> bool:
        return REACHED in self._said(self._log_start)

    def _waiting(self) -> list[Path]:
        return [folder for folder in self._unsynced() if folder not in self._tried]

    def _unsynced(self) -> list[Path]:
        folders = [file.parent for file in sorted(self._folder.glob("*run-*/run-*.wandb"))]
        return [folder for folder in folders if not _mark(folder).exists()]

    def _said(self, start: int) -> str:
        return self._log.read_bytes()[start:].decode("utf-8", "replace")


def _run_of(folder: Path) -> str:
    return next(folder.glob("run-*.wandb")).stem.removeprefix("run-")


def _mark(folder: Path) -> Path:
    """The file by which W&B knows that a folder is uploaded."""
    return folder / f"run-{_run_of(folder)}.wandb.synced"
