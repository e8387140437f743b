"""Where a study is: a folder under `outputs`, or a path."""

from __future__ import annotations

import os
from pathlib import Path


def study_folder(study: str, outputs: str) -> Path:
    """The folder of a study, which need not be there yet.

    A name stands for a folder under `outputs`; what has a separator in it, or starts with `~` or `.`, is a path, unless
    there is such a folder under `outputs` all the same.

    Raises:
        ValueError: the name is empty.
    """
    if not study.strip():
        raise ValueError("study must be a name or a path, got an empty one")
    root = Path(outputs).expanduser()
    separators = {os.sep, os.altsep or os.sep, "/"}
    is_path = study.startswith(("~", ".")) or any(separator in study for separator in separators)
    return Path(study).expanduser() if is_path and not (root / study).is_dir() else root / study


def existing_study(study: str | None, outputs: str) -> Path:
    """The folder of a study that is there.

    Raises:
        ValueError: none is named, or there is none of that name; the message says which there are.
    """
    if study is None:
        raise ValueError(f"study=NAME must say which study; {_what_there_is(outputs)}")
    folder = study_folder(study, outputs)
    if not folder.is_dir():
        raise ValueError(f"no study {study!r} at {folder}; {_what_there_is(outputs)}")
    return folder


def _what_there_is(outputs: str) -> str:
    root = Path(outputs).expanduser()
    folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return f"in {root} there are {', '.join(folders)}" if folders else f"there is none in {root}"
