"""Architectures that a person names: a JSON file, an exported network, or a trial of a study."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nas.study.folders import existing_study
from nas.study.summary import StudyReader, open_for_reading
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.differences import choices_of
from search_space.documents import PRUNED, REFERENCE, graph_of
from search_space.graph import Graph
from search_space.limits import LARGEST_JSON
from search_space.lowering import normalise

EXPORTED = "architecture.json"
"""File of the architecture in the folder of an exported network."""
T = TypeVar("T")
TRIAL = re.compile(r"(?P<study>.+):(?P<number>\d+)")


@dataclass(frozen=True)
class Studies:
    """Place of the studies that a person may name.

    Attributes:
        outputs: folder of the studies.
        kind: kind of their database.
    """

    outputs: str = "outputs"
    kind: str = "sqlite"

    def folder(self, study: str) -> Path:
        """Return the folder of a study.

        Raises:
            ValueError: there is no such study.
        """
        return existing_study(study, self.outputs, in_folder=self.kind == "sqlite")

    def reader(self, study: str) -> StudyReader:
        """Open a study for reading.

        Raises:
            ValueError: there is no such study.
        """
        return open_for_reading(self.folder(study), self.kind)

    def record(self, study: str, number: int) -> Record:
        """Return a trial of a study.

        Raises:
            ValueError: there is no such study or trial.
        """
        reader = self.reader(study)
        try:
            return reader.record(number)
        finally:
            reader.study.close()


def named_architecture(name: str, studies: Studies) -> tuple[Architecture, Record | None] | None:
    """Return a normalised architecture by name, with its trial if it is one of a study.

    Args:
        name: JSON file of an architecture, folder of an exported network, or trial as `STUDY:NUMBER`.
        studies: place of the studies.

    Returns:
        None if the name is neither a file, nor such a folder, nor of the form of a trial.

    Raises:
        ValueError: there is no such trial, or the file is not an architecture.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(path), None
    if is_exported(path):
        return _from_file(path / EXPORTED), None
    trial = TRIAL.fullmatch(name)
    if trial is None:
        return None
    record = studies.record(trial["study"], int(trial["number"]))
    return normalise(Architecture.from_json(record.candidate.architecture)), record


def is_exported(folder: Path) -> bool:
    """Return whether a folder is that of an exported network."""
    return (folder / EXPORTED).is_file()


def layered_network(name: str) -> tuple[Mapping[str, Any], Graph] | None:
    """Return document and graph of a network that is no architecture: a pruned one, or a published one as it was.

    Args:
        name: JSON file of the network, or folder of an exported one.

    Returns:
        None if the name is neither, or that of an architecture.

    Raises:
        ValueError: the file holds no such network.
    """
    path = Path(name).expanduser()
    path = path / EXPORTED if is_exported(path) else path
    if not path.is_file():
        return None
    return _read(path, _layered)


def _layered(document: object) -> tuple[Mapping[str, Any], Graph] | None:
    if not isinstance(document, Mapping) or not document.keys() & {REFERENCE, PRUNED}:
        return None
    return document, graph_of(document)


def _from_file(path: Path) -> Architecture:
    return _read(path, lambda document: normalise(Architecture.from_json(document)))


def _read(path: Path, parse: Callable[[Any], T]) -> T:
    """Return what is made of the JSON document in a file.

    Raises:
        ValueError: it is larger than `LARGEST_JSON`, no JSON, or `parse` refuses it.
    """
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f"{path} must have at most {LARGEST_JSON} bytes, it has {size}")
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must hold the JSON document of an architecture: {error}") from error


def known_choices(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices of a stored architecture by path; none of one that can't be read here, as of a plug-in.

    Args:
        document: the architecture in JSON form.
    """
    try:
        return dict(choices_of(Architecture.from_json(dict(document))))
    except (ValueError, TypeError, LookupError):
        return {}
