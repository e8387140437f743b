"""`nas studies`: all studies of a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.config.commands import StudiesConfig
from nas.reports.studies_table import studies_table
from nas.study.facts import study_facts
from nas.study.storage.factory import study_names
from nas.study.storage.folder_owner import STUDY_FILE
from nas.study.summary import open_for_reading

CONFIG_FILE = "config.yaml"
ELSEWHERE = "in another database"
"""State of a study that this folder does not hold."""


def run(config: StudiesConfig) -> int:
    """Print the studies of a folder, the one that was written to last first, or those of a database.

    Raises:
        ValueError: there is no such folder, or the database can't be reached.
    """
    root, kind = Path(config.outputs).expanduser(), config.storage.kind
    document = studies_document(root) if kind == "sqlite" else _of_database(root, kind)
    print_document(document, config.format, studies_table, studies_rows)
    return 0


def _of_database(root: Path, kind: str) -> dict[str, Any]:
    """Return the studies of a database, which tells no age of them, as `studies_document` does."""
    names = sorted(study_names(str(root), kind))
    studies = [{"study": name, "age_seconds": None, **_facts(root / name, kind)} for name in names]
    return {"outputs": str(root), "studies": studies}


def _facts(folder: Path, kind: str = "sqlite") -> dict[str, Any]:
    return study_facts(lambda: open_for_reading(folder, kind))


def studies_document(root: Path) -> dict[str, Any]:
    """Return the studies of a folder as a JSON document.

    Raises:
        ValueError: there is no such folder.
    """
    if not root.is_dir():
        raise ValueError(f"outputs must be a folder of studies, there is none at {root}")
    folders = [path for path in root.iterdir() if path.is_dir() and _is_study(path)]
    ages = {folder: _age(folder) for folder in folders}
    return {
        "outputs": str(root),
        "studies": [_entry(folder, ages[folder]) for folder in sorted(ages, key=ages.__getitem__)],
    }


def _is_study(folder: Path) -> bool:
    return (folder / STUDY_FILE).exists() or (folder / CONFIG_FILE).exists()


def _age(folder: Path) -> float:
    """Return the seconds since the study was written to."""
    files = [folder / STUDY_FILE, folder / f"{STUDY_FILE}-wal", folder / CONFIG_FILE]
    return max(0.0, time.time() - max(path.stat().st_mtime for path in files if path.exists()))


def _entry(folder: Path, age: float) -> dict[str, Any]:
    entry: dict[str, Any] = {"study": folder.name, "age_seconds": round(age, 1)}
    if not (folder / STUDY_FILE).exists():
        return entry | {"state": ELSEWHERE}
    return entry | _facts(folder)


COLUMNS = (
    "study", "state", "trials", "budget_trials", "share_done", "seconds_left", "hypervolume", "front", "seconds",
    "clock_seconds", "age_seconds", "error",
)  # fmt: skip


def studies_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a study, with the number and the values of its best trial."""
    studies: Sequence[Mapping[str, Any]] = document["studies"]
    values = list(dict.fromkeys(name for study in studies for name in (study.get("best") or {}).get("values", ())))
    rows: list[Row] = [[*COLUMNS, "best_trial", *(f"best_{name}" for name in values)]]
    for study in studies:
        best = study.get("best") or {"trial": "", "values": {}}
        cells = ["" if study.get(name) is None else study[name] for name in COLUMNS]
        rows.append([*cells, best["trial"], *(best["values"].get(name, "") for name in values)])
    return rows
