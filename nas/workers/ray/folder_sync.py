"""A folder that is kept like one on another machine: what has changed in the one, and the like in the other.

A job that runs far away trains in a folder of its own there. Whatever file it completes or removes is completed or
removed in the trial's folder too; what it prints is added to the trial's log. Files whose names begin with a dot are
not complete yet and stay where they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nas.jobs.files import write_bytes


@dataclass(frozen=True)
class Changes:
    """What has changed in a folder.

    Attributes:
        files: content of the files that are new or other than before, by name.
        gone: names of the files that are there no more.
        printed: what has been added to the log.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    printed: bytes = b""


@final
class Mirror:
    """Watches a folder for changes."""

    def __init__(self, folder: Path, log: str) -> None:
        """What is in the folder already counts as known to the other side.

        Args:
            folder: the folder, which exists.
            log: name of the file that is only ever added to.
        """
        self._folder = folder
        self._log = log
        self._known = self._look()
        self._printed = 0

    def changes(self) -> Changes:
        """What has changed since the last call."""
        seen = self._look()
        files = {name: self._read(name) for name, stamp in seen.items() if self._known.get(name) != stamp}
        gone = tuple(name for name in self._known if name not in seen)
        self._known = seen
        # One that was superseded between the look and the reading is gone at the next look.
        return Changes({name: data for name, data in files.items() if data is not None}, gone, self._newly_printed())

    def _look(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for entry in os.scandir(self._folder):
            if entry.name.startswith(".") or entry.name == self._log or not entry.is_file():
                continue
            try:
                stat = os.stat(entry.path)
            except FileNotFoundError:
                continue
            found[entry.name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return found

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _newly_printed(self) -> bytes:
        try:
            with (self._folder / self._log).open("rb") as file:
                file.seek(self._printed)
                text = file.read()
        except FileNotFoundError:
            return b""
        self._printed += len(text)
        return text


def apply(changes: Changes, folder: Path, log: str) -> None:
    """Change `folder` likewise; a file is complete on disk before it bears its name, and before another is removed.

    Args:
        changes: what has changed far away.
        folder: the folder to change, made where there is none.
        log: name of the file that is only ever added to.

    Raises:
        ValueError: a name that leads out of the folder.
        OSError: a file can't be written.
    """
    for name in (*changes.files, *changes.gone):
        if name != Path(name).name or name.startswith("."):
            raise ValueError(f"a mirrored file must have a plain name, got {name!r}")
    folder.mkdir(parents=True, exist_ok=True)
    if changes.printed:
        with (folder / log).open("ab") as file:
            file.write(changes.printed)
    for name, content in changes.files.items():
        write_bytes(folder / name, content)
    for name in changes.gone:
        (folder / name).unlink(missing_ok=True)
