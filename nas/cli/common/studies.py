"""Studies that a command names, with their settings and environment."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Protocol

from nas.cli.app.compose import read_yaml
from nas.study.folders import existing_study
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
