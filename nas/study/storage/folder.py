"""A study's folder says whose trainings lie in it, where the study itself is kept elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

STUDY_FILE = "study.db"
MARK_FILE = "study.json"


def owner(folder: Path) -> str | None:
    """Identity of the study that a folder belongs to; None where it is nobody's, or of the study in it."""
    try:
        return str(json.loads((folder / MARK_FILE).read_text(encoding="utf-8"))["identity"])
    except FileNotFoundError:
        return None


def mark(folder: Path, identity: str) -> None:
    """Say that a folder belongs to a study in PostgreSQL."""
    document = {"storage": "postgres", "identity": identity}
    part = folder / f".{MARK_FILE}.part"
    part.write_text(json.dumps(document) + "\n", encoding="utf-8")
    part.replace(folder / MARK_FILE)


def check_owner(folder: Path, identity: str | None, place: str) -> None:
    """Nothing where the trainings in a folder are of this study, or where there are none.

    Args:
        folder: the study's folder.
        identity: of the study; None where it is yet to be made.
        place: where it is, for the message.

    Raises:
        ValueError: they are another study's.
    """
    if (folder / STUDY_FILE).exists():
        raise ValueError(f"a folder holds one study, {folder} holds that of its {STUDY_FILE}: take another study=NAME")
    other = owner(folder)
    if other not in {None, identity}:
        raise ValueError(
            f"a folder holds the trainings of one study, {folder} holds those of another than {place}: take another "
            f"study=NAME, or the database that it was searched in"
        )
