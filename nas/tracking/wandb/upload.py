"""Uploads of W&B runs while they are recorded, in processes of their own that may hang, fail or be killed.

`wandb sync` reads the run's file on disk, so a slow or broken network can neither delay nor lose a record. An upload
that fails before it reached the server is started again, so a network that returns during a search is used. One that
reached the server is not: `wandb sync` appends, and its first part would arrive twice.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.jobs.links import open_log
from nas.tracking.wandb.run_folders import run_files

LOG_FILE = "upload.log"
RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 2.0
POLL_SECONDS = 0.05
COMMAND = (sys.executable, "-P", "-m", "wandb")
REACHED = "View run"
TRUNCATED = "ends with an incomplete record"


@dataclass(frozen=True)
class Attempt:
    """Upload process, running or ended.

    Attributes:
        process: the process.
        folders: run folders that it uploads.
        log_start: offset of its output in the log, in bytes.
        started: its start on the monotonic clock, in seconds.
    """

    process: subprocess.Popen[bytes]
    folders: Sequence[Path]
    log_start: int
    started: float


@final
class Uploader:
    """Uploader of a study's runs, with at most three processes: for the study's run, for ended and for open trials.

    The folders of the study's run are uploaded in order, the one that is being written last. Trials that start while
    the process of open trials runs wait until those of before have ended.
    """

    def __init__(self, folder: Path, current: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start no process yet.

        Args:
            folder: W&B's folder in the study's folder.
            current: the newest run folder of the study in it, which may be one that is being written.
            environment: environment variables of the uploads; None for those of this process.
        """
        self._log = folder / LOG_FILE
        os.close(open_log(self._log))
        self._folder = folder
        self._environment = environment
        self._current = current
        self._attempts: dict[str, Attempt] = {}
        self._tried: set[Path] = set()
        self._created = time.monotonic()
        self._log_start = self._log.stat().st_size

    def poll(self, open_trials: Collection[Path] = ()) -> None:
        """Start the uploads that are due.

        Args:
            open_trials: run folders of trials that are being written.
        """
        self._advance(RETRY_SECONDS, {self._current, *open_trials})

    def finish(self, seconds: float, longest: float | None = None) -> bool:
        """Wait for the remaining uploads, then kill them, and return whether everything is uploaded.

        Args:
            seconds: longest wait; a server that has not been reached for as long already is not waited for.
            longest: longest wait for a server that was reached; None for `seconds`.
        """
        deadline = time.monotonic() + (seconds if longest is None else longest)
        while self._waiting() and time.monotonic() < (deadline if self._reached() else self._created + seconds):
            self._advance(LAST_RETRY_SECONDS, set())
            time.sleep(POLL_SECONDS)
        for attempt in self._attempts.values():
            attempt.process.kill()
            attempt.process.wait()
        return not unsynced(self._folder)

    def url(self, run_id: str) -> str | None:
        """Return the address of a run on the server, from the output of the uploads; None if none printed it."""
        found = re.findall(rf"{REACHED} .*?at (https?://\S+/{re.escape(run_id)})\s", self._output(0))
        return found[-1] if found else None

    def _advance(self, interval: float, live: Collection[Path]) -> None:
        self._note_ended()
        running = {folder for each in self._attempts.values() if each.process.poll() is None for folder in each.folders}
        waiting = [folder for folder in self._waiting() if folder not in running]
        of_study = [folder for folder in waiting if _run_of(folder) == _run_of(self._current)]
        trials = [folder for folder in waiting if folder not in of_study]
        if of_study and self._may_start("study", interval):
            self._start("study", of_study[:1], live=of_study[0] in live)
        for kind, chosen in (
            ("trials", [folder for folder in trials if folder not in live]),
            ("open trials", [folder for folder in trials if folder in live]),
        ):
            if chosen and self._may_start(kind, interval):
                self._start(kind, chosen, live=kind == "open trials")

    def _note_ended(self) -> None:
        """Note which folders of ended uploads had reached the server."""
        ended = [attempt for attempt in self._attempts.values() if attempt.process.poll() is not None]
        for attempt in ended:
            output = self._output(attempt.log_start)
            reached = [folder for folder in attempt.folders if REACHED in output and f"/{_run_of(folder)}" in output]
            self._tried.update(reached)
            for folder in reached if TRUNCATED in output else ():  # its writer was killed: each whole record is sent
                _mark(folder).touch()

    def _may_start(self, kind: str, interval: float) -> bool:
        last = self._attempts.get(kind)
        if last is None:
            return True
        if last.process.poll() is None:
            return False
        succeeded = all(_mark(folder).exists() for folder in last.folders)
        return succeeded or time.monotonic() - last.started >= interval

    def _start(self, kind: str, folders: Sequence[Path], *, live: bool) -> None:
        words = ("beta", "sync", "--live", "--yes") if live else ("sync", "--yes")
        start = self._log.stat().st_size
        with os.fdopen(open_log(self._log), "ab") as log:
            process = subprocess.Popen(
                [*COMMAND, *words, *map(str, folders)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if self._environment is None else dict(self._environment),
            )
        self._attempts[kind] = Attempt(process, tuple(folders), start, time.monotonic())

    def _reached(self) -> bool:
        return REACHED in self._output(self._log_start)

    def _waiting(self) -> list[Path]:
        return [folder for folder in unsynced(self._folder) if folder not in self._tried]

    def _output(self, start: int) -> str:
        return self._log.read_bytes()[start:].decode("utf-8", "replace")


def unsynced(folder: Path) -> list[Path]:
    """Return the run folders in W&B's folder that are not uploaded, oldest first."""
    folders = [file.parent for file in run_files(folder)]
    return [each for each in folders if not _mark(each).exists()]


def _run_of(folder: Path) -> str:
    return next(folder.glob("run-*.wandb")).stem.removeprefix("run-")


def _mark(folder: Path) -> Path:
    """Return the file that marks a folder as uploaded for W&B."""
    return folder / f"run-{_run_of(folder)}.wandb.synced"
