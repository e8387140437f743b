"""Where a study is: a folder under `outputs`, or a path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nas.cli.app.compose import read_yaml

if TYPE_CHECKING:
    from nas.config.specs import StorageSpec
    from nas.study.study import Study
    from nas.study.summary import StudyReader


class NamesStudy(Protocol):
    """What a command is told that works on a study which is there."""

    @property
    def study(self) -> str | None:
        """Name or path; None where the command was told none."""
        ...

    @property
    def outputs(self) -> str:
        """A folder."""
        ...

    @property
    def storage(self) -> StorageSpec:
        """A kind of database."""
        ...


def reading(config: NamesStudy) -> StudyReader:
    """The study that a command was told of, read.

    Raises:
        ValueError: none is named, there is none of that name, or it cannot be read.
    """
    folder = existing_study(config.study, config.outputs, in_folder=config.storage.kind == "sqlite")
    from nas.study.summary import open_for_reading  # noqa: PLC0415 - imports Optuna, which a mistake needn't wait for

    return open_for_reading(folder, config.storage.kind)


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


def stored_settings(study: Study) -> dict[str, Any]:
    """The settings of the latest search of a study: from its folder, or else from the study itself.

    Empty where neither has them: an older search kept them in the folder alone.
    """
    return read_yaml(study.folder / "config.yaml") or study.attribute("config") or {}


def stored_environment(study: Study) -> dict[str, Any]:
    """Machine and versions of the latest search of a study, found like its settings."""
    file = study.folder / "environment.json"
    if file.is_file():
        return dict(json.loads(file.read_text(encoding="utf-8")))
    return study.attribute("environment") or {}


def existing_study(study: str | None, outputs: str, *, in_folder: bool = True) -> Path:
    """The folder of a study that is there.

    Args:
        study: its name or path.
        outputs: folder of the studies.
        in_folder: whether the study is kept in its folder, which then has to be there too.

    Raises:
        ValueError: none is named, or there is none of that name; the message says which there are.
    """
    if study is None:
        raise ValueError(f"study=NAME must say which study; {_what_there_is(outputs)}")
    folder = study_folder(study, outputs)
    if in_folder and not folder.is_dir():
        raise ValueError(f"no study {study!r} at {folder}; {_what_there_is(outputs)}")
    return folder


def _what_there_is(outputs: str) -> str:
    root = Path(outputs).expanduser()
    folders = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return f"in {root} there are {', '.join(folders)}" if folders else f"there is none in {root}"
