"""Names of the checkpoints in a training's folder; the files are read elsewhere, as that takes torch."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"attempt(\d+)-epoch(\d+)\.pt")
_PART = re.compile(r"\.attempt(\d+)-epoch(\d+)\.pt(?:\.\w+)?\.part")


@dataclass(frozen=True)
class Place:
    """Place of a training's checkpoints.

    Attributes:
        folder: their folder.
        attempt: number of the attempt, by which they are named.
        packed: whether the epoch before the newest one stays too, to which the members of a pack can go back together
            after a kill between two of their checkpoints.
    """

    folder: Path
    attempt: int
    packed: bool = False

    def remove_superseded(self, epoch: int, *, ended: bool = False) -> None:
        """Remove what a checkpoint of this attempt supersedes.

        Superseded are earlier epochs of this attempt and all files of earlier attempts. Those of a later attempt stay:
        this process is then a straggler.

        Args:
            epoch: epoch of the checkpoint.
            ended: whether the training is over, so that a pack has nothing to go back to.
        """
        kept = epoch - 1 if self.packed and not ended else None
        for pattern in (_NAME, _PART):
            for path, match in _named(self.folder, pattern):
                earlier = int(match[1]) < self.attempt or (int(match[1]) == self.attempt and int(match[2]) < epoch)
                if earlier and int(match[2]) != kept:
                    with suppress(FileNotFoundError):  # a straggler of an earlier attempt may have removed it
                        path.unlink()


def latest(folder: Path) -> tuple[Path, int] | None:
    """Return the newest complete checkpoint in `folder` and its epoch: the highest epoch, then the highest attempt."""
    found = by_epoch(folder)
    return (found[max(found)], max(found)) if found else None


def by_epoch(folder: Path) -> dict[int, Path]:
    """Return the complete checkpoints in `folder` by their epochs: of several of one epoch, the highest attempt's."""
    found = sorted((int(match[2]), int(match[1]), path) for path, match in _named(folder, _NAME))
    return {epoch: path for epoch, _, path in found}


def _named(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, re.Match[str]]]:
    """Return the files of a folder whose names match; links and pipes of such names are none of ours."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [(entry, match) for entry in entries if (match := pattern.fullmatch(entry.name))]
        return [(folder / entry.name, match) for entry, match in found if entry.is_file(follow_symlinks=False)]
