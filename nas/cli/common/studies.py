"""Resolution of `study=`: a folder under `outputs`, or a path."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nas.cli.app.compose import read_yaml
from nas.study.summary import open_for_reading

if TYPE_CHECKING:
    from nas.config.storage import StorageSpec
    from nas.study.study import Study
    from nas.study.summary import StudyReader


class NamesStudy(Protocol):
    """Configuration of a command that works on an existing study."""

    @property
    def study(self) -> str | None:
        """Name or path; None if not given."""
        ...

    @property
    def outputs(self) -> str:
        """Folder of the studies."""
        ...

    @property
    def storage(self) -> StorageSpec:
        """Kind of database."""
        ...


def reading(config: NamesStudy) -> StudyReader:
    """Open the study of a command for reading.

    Raises:
        ValueError: no study is given, it does not exist, or it cannot be read.
    """
    folder = existing_study(config.study, config.outputs, in_folder=config.storage.kind == "sqlite")
    return open_for_reading(folder, config.storage.kind)


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


def study_overrides(config: NamesStudy) -> str:
    """Return the overrides that name the study of a command, quoted for a shell; defaults are left out."""
    words = [f"study={config.study}"]
    words += [f"outputs={config.outputs}"] if config.outputs != "outputs" else []
    words += [f"storage={config.storage.kind}"] if config.storage.kind != "sqlite" else []
    return shlex.join(words)


def stored_settings(study: Study) -> dict[str, Any]:
    """Return the settings of the latest search of a study: those in its folder, else those in the study itself.

    Empty for a study of an older version that is read without its folder.
    """
    return read_yaml(study.folder / "config.yaml") or study.attribute("config") or {}


def stored_environment(study: Study) -> dict[str, Any]:
    """Return machine and versions of the latest search of a study, found as its settings are."""
    file = study.folder / "environment.json"
    if file.is_file():
        return dict(json.loads(file.read_text(encoding="utf-8")))
    return study.attribute("environment") or {}


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


def _existing(outputs: str) -> str:
    root = Path(outputs).expanduser()
    folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return f"in {root} there are {', '.join(folders)}" if folders else f"there is none in {root}"
