"""Which checkpoints stay: those of the front and of what is not finished, or all, or none of what has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the word for what to keep is checked where nothing heavy may be imported
    from nas.records import Record

KEEP = ("all", "front", "none")
SUFFIXES = (".pt", ".part", ".unreadable")


class Retention:
    """Drops the checkpoints of trials that have ended, after they have been told."""

    def __init__(self, keep: str, folder: Callable[[int], Path]) -> None:
        """Start with nothing dropped.

        Args:
            keep: `all` drops nothing; `front` keeps what is on the front; `none` keeps nothing of an ended trial.
            folder: the folder of a trial by its number.

        Raises:
            ValueError: another word.
        """
        if keep not in KEEP:
            raise ValueError(f"workers.keep must be one of {', '.join(KEEP)}, got {keep!r}")
        self._keep = keep
        self._folder = folder
        self._dropped: set[int] = set()

    def sweep(self, records: Iterable[Record], front: Sequence[Record]) -> None:
        """Drop what need not stay.

        A trial that has left the front never comes back to it, so what is dropped is never wanted again.

        Args:
            records: all trials.
            front: those on the front now.
        """
        if self._keep == "all":
            return
        kept = {record.number for record in front} if self._keep == "front" else set()
        for record in records:
            if record.state != "running" and record.number not in kept | self._dropped:
                _drop(self._folder(record.number))
                self._dropped.add(record.number)


def _drop(folder: Path) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix in SUFFIXES:
            with suppress(FileNotFoundError):  # a straggler's process may tidy up at the same time
                path.unlink()
