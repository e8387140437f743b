"""Where a retraining keeps what, and how it is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.jobs.files import read_json

FOLDER = "retrain"
SEED_FILE = "result.json"
TRIAL_FILE = "result.json"


def trial_folder(study: Path, trial: int) -> Path:
    """Where the retrainings of a trial are, in a study's folder."""
    return study / FOLDER / str(trial)


def seed_folder(trial: Path, seed: int) -> Path:
    """Where one of them is, in its trial's folder."""
    return trial / f"seed{seed}"


def measured(folder: Path) -> dict[str, Any] | None:
    """The result of a seed that is trained in full and measured, and whose weights are still there; else None.

    Raises:
        ValueError: the file holds something else.
    """
    result = read_json(folder / SEED_FILE)
    return result if result is not None and (folder / str(result.get("checkpoint"))).is_file() else None


def written_results(study: Path) -> list[dict[str, Any]]:
    """The results of all retrained trials in a study's folder, in order of the trials.

    Raises:
        ValueError: a file there holds something else.
    """
    found = [read_json(path) for path in (study / FOLDER).glob(f"*/{TRIAL_FILE}")]
    return sorted((result for result in found if result is not None), key=lambda result: int(result["trial"]))
