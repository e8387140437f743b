"""Synchronisation of a trial's folder with the folder of its job on another machine.

A job on another machine trains in a temporary folder there. Every file that it completes or removes is written or
removed in the trial's folder too; its output is appended to the trial's log. Files with a leading dot are incomplete
and are not sent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nas.jobs.files import write_bytes
from nas.jobs.links import open_log


@dataclass(frozen=True)
class FolderChanges:
    """Changes of a folder since the last call.

    Attributes:
        files: content of the new and changed files, by file name.
        removed: names of the files that no longer exist.
        log: bytes appended to the log.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    log: bytes = b""


@final
class FolderWatcher:
    """Collects the changes of a folder."""

    def __init__(self, folder: Path, log: str) -> None:
        """Record the present content of the folder, which the other side knows already.

        Args:
            folder: the folder, which exists.
            log: name of the append-only log file.
        """
        self._folder = folder
        self._log = log
        self._known = self._stamps()
        self._log_bytes = 0

    def changes(self) -> FolderChanges:
        """Return the changes since the last call."""
        found = self._stamps()
        files = {name: self._read(name) for name, stamp in found.items() if self._known.get(name) != stamp}
        removed = tuple(name for name in self._known if name not in found)
        self._known = found
        # A file that was removed between the listing and the reading is in `removed` at the next call.
        return FolderChanges({name: data for name, data in files.items() if data is not None}, removed, self._new_log())

    def _stamps(self) -> dict[str, tuple[int, int, int]]:
        """Return inode, size and time of modification of each complete file."""
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

    def _new_log(self) -> bytes:
        try:
            with (self._folder / self._log).open("rb") as file:
                file.seek(self._log_bytes)
                text = file.read()
        except FileNotFoundError:
            return b""
        self._log_bytes += len(text)
        return text


def apply_changes(changes: FolderChanges, folder: Path, log: str) -> None:
    """Apply changes to `folder`; new files are complete on disk before old ones are removed.

    Args:
        changes: changes of the folder on the other machine.
        folder: the folder to change, created if missing.
        log: name of the append-only log file.

    Raises:
        ValueError: a name leads out of the folder.
        OSError: a file can't be written.
    """
    for name in (*changes.files, *changes.removed):
        if name != Path(name).name or name.startswith("."):
            raise ValueError(f"a synchronised file must have a plain name, got {name!r}")
    folder.mkdir(parents=True, exist_ok=True)
    if changes.log:
        with os.fdopen(open_log(folder / log), "ab") as file:
            file.write(changes.log)
    for name, content in changes.files.items():
        write_bytes(folder / name, content)
    for name in changes.removed:
        (folder / name).unlink(missing_ok=True)
