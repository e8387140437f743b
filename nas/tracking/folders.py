"""What earlier searches recorded: read back from W&B's own run folders, so that nothing is recorded twice or never."""

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
    """What stands in the folders of one run.

    Attributes:
        trials: numbers of the trials that have a row.
        steps: steps taken, which the next row goes on from.
        ended: whether the newest folder was closed in order.
    """

    trials: frozenset[int]
    steps: int
    ended: bool


def run_folders(folder: Path, run_id: str) -> list[Path]:
    """The folders of a run in W&B's folder, in order of time; a run that was resumed has several."""
    return [path.parent for path in sorted(folder.glob(f"*run-*/run-{run_id}.wandb"))]


def drop_empty(folder: Path) -> None:
    """Take away run folders without a record, which a killed writer leaves and no upload accepts."""
    for file in folder.glob("*run-*/run-*.wandb"):
        if file.stat().st_size <= HEADER_BYTES:
            shutil.rmtree(file.parent)


def read_back(folders: Sequence[Path]) -> Recorded:
    """What the folders of one run hold; of a folder whose writer was killed, what had reached the disk."""
    trials: set[int] = set()
    steps, ended = 0, False
    for folder in folders:
        ended = False
        for record in _records(folder):
            ended = ended or record["type"] == "exit"
            if record["type"] == "history":
                item = record["history"]["item"]
                steps = max(steps, int(item["_step"]) + 1)
                trials.update([int(item["trial"])] if "trial" in item else [])
    return Recorded(frozenset(trials), steps, ended)


def _records(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-P", "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
