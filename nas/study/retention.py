"""Which checkpoints stay: those of the front and of what is not finished, or all, or none of what has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from nas.config.workers import KEEP
from nas.jobs import repeat_folder
from nas.study.trial import Record, State

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
        self._dropped: set[Path] = set()

    def kept(self, records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
        """The complete trials whose checkpoints stay, whatever else happens now.

        Args:
            records: all trials.
            front: those on the front now.
        """
        chosen = {"all": records, "front": front, "none": ()}[self._keep]
        return [record for record in chosen if record.state == State.COMPLETE]

    def sweep(self, records: Iterable[Record], front: Sequence[Record]) -> None:
        """Drop what need not stay.

        A trial that is none of `front` never comes back to it, so what is dropped is never wanted again. Of a repeat
        that has ended nothing is wanted: what is handed over is a trial's own training. While a trial runs that started
        from the weights of another one, these stay too, for it may have to start once more.

        Args:
            records: all trials.
            front: those on the front now, and those that may come back to it.
        """
        if self._keep == "all":
            return
        trials = list(records)
        kept = {record.number for record in self.kept(trials, front)}
        kept |= {record.descent.trial for record in trials if record.state == State.RUNNING and record.descent}
        for record in trials:
            folder = self._folder(record.number)
            if record.state != State.RUNNING and record.number not in kept:
                self._drop(folder)
            for index, repeat in enumerate(record.repeats, 1):
                if not repeat.open:
                    self._drop(repeat_folder(folder, index))

    def _drop(self, folder: Path) -> None:
        if folder not in self._dropped:
            _drop(folder)
            self._dropped.add(folder)


def _drop(folder: Path) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix in SUFFIXES:
            with suppress(FileNotFoundError):  # a straggler's process may tidy up at the same time
                path.unlink()
