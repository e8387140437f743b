"""Owner file of a study's folder: it names the study in PostgreSQL whose trainings the folder holds."""

from __future__ import annotations

import json
from pathlib import Path

from nas.jobs.files import write_text

STUDY_FILE = "study.db"
OWNER_FILE = "study.json"


def read_owner(folder: Path) -> str | None:
    """Return the identity of the study in PostgreSQL that a folder belongs to, None if it belongs to none."""
    try:
        return str(json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))["identity"])
    except FileNotFoundError:
        return None


def write_owner(folder: Path, identity: str) -> None:
    """Record that a folder belongs to a study in PostgreSQL."""
    document = {"storage": "postgres", "identity": identity}
    write_text(folder / OWNER_FILE, json.dumps(document) + "\n")


def check_owner(folder: Path, identity: str | None, label: str) -> None:
    """Refuse a folder that holds the trainings of another study.

    Args:
        folder: of the study.
        identity: of the study; None if it is yet to be created.
        label: name of the study in the error.

    Raises:
        ValueError: the trainings are another study's.
    """
    if (folder / STUDY_FILE).exists():
        raise ValueError(f"a folder holds one study, {folder} holds that of its {STUDY_FILE}: take another study=NAME")
    other = read_owner(folder)
    if other not in {None, identity}:
        raise ValueError(
            f"a folder holds the trainings of one study, {folder} holds those of another than {label}: take another "
            f"study=NAME, or the database that it was searched in"
        )
