"""Folders of studies by name: a folder under `outputs`, or a path."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nas.jobs.links import refuse_links

TRIALS = "trials"


def study_folder(study: str, outputs: str) -> Path:
    """Return the folder of a study, which need not exist.

    A name is a folder under `outputs`. A value with a separator, or that starts with `~` or `.`, is a path, unless
    `outputs` has a folder of that name.

    Raises:
        ValueError: the name is empty.
    """
    if not study.strip():
        raise ValueError("study must be a name or a path, got an empty one")
    root = Path(outputs).expanduser()
    separators = {os.sep, os.altsep or os.sep, "/"}
    is_path = study.startswith(("~", ".")) or any(separator in study for separator in separators)
    return Path(study).expanduser() if is_path and not (root / study).is_dir() else root / study


def existing_study(study: str | None, outputs: str, *, in_folder: bool = True) -> Path:
    """Return the folder of an existing study.

    Args:
        study: its name or path.
        outputs: folder of the studies.
        in_folder: whether the study is stored in its folder, which must then exist.

    Raises:
        ValueError: no study is given, or none of that name exists; the message lists those that do.
    """
    if study is None:
        raise ValueError(f"study=NAME must say which study; {_existing(outputs)}")
    folder = study_folder(study, outputs)
    if in_folder and not folder.is_dir():
        raise ValueError(f"no study {study!r} at {folder}; {_existing(outputs)}")
    return folder


def check_links(folder: Path) -> None:
    """Refuse a study with a link in the place of its folder of trials, or of a trial's folder.

    Raises:
        LinkError: as above; the message names the link.
    """
    trials = folder / TRIALS
    refuse_links(folder, trials)
    with suppress(FileNotFoundError), os.scandir(trials) as entries:
        for entry in entries:
            if entry.is_symlink():
                refuse_links(folder, trials / entry.name)


def _existing(outputs: str) -> str:
    root = Path(outputs).expanduser()
    folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return f"in {root} there are {', '.join(folders)}" if folders else f"there is none in {root}"
