"""Completion of the names of studies in a command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

KEY, OUTPUTS = "study=", "outputs="
NAMING = ("compare",)
"""Commands whose words without a key name studies."""
MARKS = ("study.db", "config.yaml")
"""Files of which the folder of a study has one at least."""


def completed_studies(typed: Sequence[str], *, started: bool) -> list[str] | None:
    """Return the words that name a study and begin like the last word; None if that one names no study.

    Args:
        typed: words of the line, the program and its command first.
        started: whether the last word is not ended yet.
    """
    word = typed[-1] if started and len(typed) > 2 else ""
    folders = [each.removeprefix(OUTPUTS) for each in typed if each.startswith(OUTPUTS)]
    names = study_names(os.path.expanduser(folders[-1] if folders else "outputs"))
    if word.startswith(KEY):
        return [f"{KEY}{name}" for name in names if name.startswith(word.removeprefix(KEY))]
    if len(typed) > 1 and typed[1] in NAMING and "=" not in word:
        found = [name for name in names if name.startswith(word) and name not in typed[2:]]
        return found or None
    return None


def study_names(root: str) -> list[str]:
    """Return the names of the studies in a folder, sorted; names with blanks, which a shell would split, are left out.

    Args:
        root: the folder, which need not exist.
    """
    found = list[str]()
    with suppress(OSError), os.scandir(root) as entries:
        found += [entry.name for entry in entries if " " not in entry.name and _is_study(entry.path)]
    return sorted(found)


def _is_study(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, mark)) for mark in MARKS)
