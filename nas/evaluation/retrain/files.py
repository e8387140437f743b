"""Result files of retrained networks in a study's folder: their paths, and how to read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nas.jobs.files import read_json

FOLDER = "retrain"
SEED_FILE = "result.json"
TRIAL_FILE = "result.json"


def trial_folder(study: Path, trial: int) -> Path:
    """Return the folder of a trial's retraining.

    Args:
        study: the study's folder.
        trial: the trial's number.
    """
    return study / FOLDER / str(trial)


def seed_folder(trial: Path, seed: int) -> Path:
    """Return the folder of one seed in the folder of its trial's retraining."""
    return trial / f"seed{seed}"


def finished_result(folder: Path) -> dict[str, Any] | None:
    """Return the result of a seed that is trained in full and measured, and whose weights still exist; else None.

    Args:
        folder: the seed's folder.

    Raises:
        ValueError: the file holds no JSON object.
    """
    result = read_json(folder / SEED_FILE)
    return result if result is not None and (folder / str(result.get("checkpoint"))).is_file() else None


def seed_results(folder: Path) -> list[dict[str, Any]]:
    """Return the results of all measured seeds of a trial, ordered by seed.

    Args:
        folder: the folder of the trial's retraining.

    Raises:
        ValueError: a file there holds no JSON object.
    """
    return _read_all(folder.glob(f"seed*/{SEED_FILE}"), key="seed")


def trial_results(study: Path) -> list[dict[str, Any]]:
    """Return the results of all retrained trials in a study's folder, ordered by trial.

    Raises:
        ValueError: a file there holds no JSON object.
    """
    return _read_all((study / FOLDER).glob(f"*/{TRIAL_FILE}"), key="trial")


def best_seed(study: Path, trial: int) -> tuple[Path, dict[str, Any]] | None:
    """Return folder and result of the seed with the best validation accuracy, the lowest of equals; None without any.

    The choice is by validation accuracy, so that the test accuracy of the exported network stays unbiased.

    Args:
        study: the study's folder.
        trial: the trial's number.

    Raises:
        ValueError: a result file holds no JSON object.
    """
    folder = trial_folder(study, trial)
    results = seed_results(folder)
    if not results:
        return None
    best = max(results, key=lambda result: (result["val_accuracy"], -result["seed"]))
    return seed_folder(folder, best["seed"]), best


def _read_all(paths: Iterable[Path], key: str) -> list[dict[str, Any]]:
    found = [read_json(path) for path in paths]
    return sorted((result for result in found if result is not None), key=lambda result: int(result[key]))
