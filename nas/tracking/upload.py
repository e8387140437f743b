"""Uploads what is recorded while it is recorded, in processes of their own that may hang, fail or be killed.

`wandb sync` reads the run's file on disk: the network has no way to hold up, or to lose, what is recorded. It is
started again after a failure, so a network that comes back in the middle of a search is made use of.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

LOG_FILE = "upload.log"
RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 2.0
SYNC = (sys.executable, "-P", "-m", "wandb")


@final
class Uploader:
    """Two lanes: the run that is being written, and runs that are finished."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet.

        Args:
            folder: W&B's folder in the study's folder.
        """
        self._folder = folder
        self._live: subprocess.Popen[bytes] | None = None
        self._batch: subprocess.Popen[bytes] | None = None
        self._started = {"live": -math.inf, "batch": -math.inf}

    def tick(self, current: Path) -> None:
        """Start what should be running and is not.

        Args:
            current: folder of the run that is being written.
        """
        waiting = [folder for folder in self._unsynced() if folder != current]
        if waiting and not _runs(self._batch) and self._due("batch"):
            self._batch = self._sync(waiting, live=False)
        earlier = [folder for folder in waiting if _run_file(folder).name == _run_file(current).name]
        if not earlier and not _runs(self._live) and self._due("live"):
            self._live = self._sync([current], live=True)

    def finish(self, seconds: float) -> bool:
        """Wait for what is not uploaded yet, and kill what then still runs; whether everything is uploaded."""
        deadline = time.monotonic() + seconds
        while self._unsynced() and time.monotonic() < deadline:
            if not _runs(self._live) and not _runs(self._batch) and self._due("batch", every=LAST_RETRY_SECONDS):
                self._batch = self._sync(self._unsynced(), live=False)
            time.sleep(0.05)
        for process in (self._live, self._batch):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        return not self._unsynced()

    def url(self, run_id: str) -> str | None:
        """Where a run can be seen, as the uploads said it."""
        said = self._log().read_text(encoding="utf-8", errors="replace")
        found = re.findall(rf"View run .*?at (https?://\S+/{re.escape(run_id)})\s", said)
        return found[-1] if found else None

    def _log(self) -> Path:
        path = self._folder / LOG_FILE
        path.touch()
        return path

    def _due(self, lane: str, every: float = RETRY_SECONDS) -> bool:
        """Whether the lane may start now, which is then taken as done."""
        now = time.monotonic()
        due = now - self._started[lane] >= every
        if due:
            self._started[lane] = now
        return due

    def _unsynced(self) -> list[Path]:
        files = sorted(self._folder.glob("*run-*/run-*.wandb"))
        return [file.parent for file in files if not file.with_name(f"{file.name}.synced").exists()]

    def _sync(self, folders: Sequence[Path], *, live: bool) -> subprocess.Popen[bytes]:
        words = ("beta", "sync", "--live", "--yes") if live else ("sync", "--yes")
        with self._log().open("ab") as log:
            return subprocess.Popen(
                [*SYNC, *words, *map(str, folders)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )


def _run_file(folder: Path) -> Path:
    return next(folder.glob("run-*.wandb"))


def _runs(process: subprocess.Popen[bytes] | None) -> bool:
    return process is not None and process.poll() is None
