"""Run folders of W&B in a study's folder, read back so that a resumed search records each trial exactly once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER_BYTES = 7


@dataclass(frozen=True)
class Recorded:
    """Content of the folders of one run.

    Attributes:
        trials: numbers of the trials that have a row.
        steps: steps of the history so far, the number of the next row.
        epochs: last epoch that has a row.
        state: state in the newest summary.
    """

    trials: frozenset[int]
    steps: int
    epochs: int
    state: str | None


def run_folders(folder: Path, run_id: str) -> list[Path]:
    """Return the folders of a run in W&B's folder, oldest first; a resumed run has several."""
    return [path.parent for path in run_files(folder, run_id)]


def run_files(folder: Path, run_id: str = "*") -> list[Path]:
    """Return the files of runs in W&B's folder, oldest first; a link to a folder is none of ours."""
    files = folder.glob(f"*run-*/run-{run_id}.wandb")
    return sorted(file for file in files if not file.parent.is_symlink() and not file.is_symlink())


def remove_empty(folder: Path) -> None:
    """Remove run folders without a record, which a killed writer leaves and no upload accepts."""
    for file in run_files(folder):
        if file.stat().st_size <= HEADER_BYTES:
            shutil.rmtree(file.parent)


def read_recorded(folders: Sequence[Path]) -> Recorded:
    """Read the folders of one run, oldest first; of one whose writer was killed, the records that reached the disk."""
    records = [record for folder in folders for record in _records(folder)]
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    updates = [record["summary"].get("update", {}) for record in records if record["type"] == "summary"]
    return Recorded(
        trials=frozenset(int(item["trial"]) for item in items if "trial" in item),
        steps=max((int(item["_step"]) + 1 for item in items), default=0),
        epochs=max((int(item["epoch"]) for item in items if "epoch" in item), default=0),
        state=next((update["state"] for update in reversed(updates) if "state" in update), None),
    )


def _records(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-P", "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
