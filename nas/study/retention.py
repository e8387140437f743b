"""Retention of checkpoints: all, those of the front and of unfinished trials, or of unfinished trials alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from nas.config.workers import KEEP
from nas.jobs import repeat_folder
from nas.jobs.links import CHECKPOINT_FILES, remove_files
from nas.study.trial import Record, State


class Retention:
    """Deletes checkpoints of trials that have ended."""

    def __init__(self, keep: str, folder: Callable[[int], Path]) -> None:
        """Start with nothing deleted.

        Args:
            keep: `all` deletes nothing, `front` all but the front of the ended trials, `none` all of the ended trials.
            folder: returns the folder of a trial by its number.

        Raises:
            ValueError: another value of `keep`.
        """
        if keep not in KEEP:
            raise ValueError(f"workers.keep must be one of {', '.join(KEEP)}, got {keep!r}")
        self._keep = keep
        self._folder = folder
        self._deleted: set[Path] = set()

    def kept(self, records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
        """Return the complete trials whose checkpoints stay; one that was trained elsewhere has none.

        Args:
            records: all trials.
            front: trials of the front.
        """
        chosen = {"all": records, "front": front, "none": ()}[self._keep]
        return [record for record in chosen if record.state == State.COMPLETE and not record.candidate.imported]

    def delete_unneeded(self, records: Iterable[Record], front: Sequence[Record]) -> None:
        """Delete the checkpoints that need not stay.

        A trial outside `front` never returns to it, so its checkpoints are never needed again. Those of an ended repeat
        are not needed either, since exports use a trial's own training. The parent of a running trial keeps its
        checkpoints, since the trial may have to start once more.

        Args:
            records: all trials.
            front: trials of the front, and those that may return to it.
        """
        if self._keep == "all":
            return
        trials = list(records)
        kept = {record.number for record in self.kept(trials, front)}
        kept |= {record.descent.trial for record in trials if record.state == State.RUNNING and record.descent}
        for record in trials:
            folder = self._folder(record.number)
            if record.state != State.RUNNING and record.number not in kept:
                self._delete(folder)
            for index, repeat in enumerate(record.repeats, 1):
                if not repeat.open:
                    self._delete(repeat_folder(folder, index))

    def _delete(self, folder: Path) -> None:
        if folder not in self._deleted:
            remove_files(folder, CHECKPOINT_FILES)
            self._deleted.add(folder)
