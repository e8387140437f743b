"""Where a retraining keeps what, and how it is read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document, which is whole before it bears its name."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The document at `path`, None where there is none.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must hold a JSON object: {error}") from error
