"""Names of the checkpoints in a training's folder; the files are read elsewhere, as that takes torch."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"attempt(\d+)-epoch(\d+)\.pt")
_PART = re.compile(r"\.attempt(\d+)-epoch(\d+)\.pt(?:\.\w+)?\.part")


def latest(folder: Path) -> tuple[Path, int] | None:
    """Return the newest complete checkpoint in `folder` and its epoch: the highest epoch, then the highest attempt."""
    found = [(int(match[2]), int(match[1]), path) for path, match in _named(folder, _NAME)]
    if not found:
        return None
    epoch, _, path = max(found)
    return path, epoch


def remove_superseded(folder: Path, attempt: int, epoch: int) -> None:
    """Remove the checkpoints that one of an attempt and epoch supersedes.

    These are earlier epochs of that attempt and all files of earlier attempts. Those of a later attempt stay.
    """
    for pattern in (_NAME, _PART):
        for path, match in _named(folder, pattern):
            if int(match[1]) < attempt or (int(match[1]) == attempt and int(match[2]) < epoch):
                with suppress(FileNotFoundError):  # a straggler of an earlier attempt may have removed it
                    path.unlink()


def _named(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, re.Match[str]]]:
    """Return the files of a folder whose names match; links and pipes of such names are none of ours."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [(entry, match) for entry in entries if (match := pattern.fullmatch(entry.name))]
        return [(folder / entry.name, match) for entry, match in found if entry.is_file(follow_symlinks=False)]
