"""Result files of retrained networks in a study's folder: their paths, and how to read them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.evaluation.retrain.checks import check_baseline_result, check_seed_result, check_trial_result
from nas.jobs.files import read_json
from nas.jobs.links import CHECKPOINT_FILES, remove_files

FOLDER, BASELINES = "retrain", "baselines"
SEED_FILE = "result.json"
TRIAL_FILE = "result.json"
_WRITTEN = rf"(?:{CHECKPOINT_FILES}|result\.json|\.result\.json\.\w+\.part|log\.txt|halves|\.token-\w+)"

log = logging.getLogger(__name__)


def trial_folder(study: Path, trial: int) -> Path:
    """Return the folder of a trial's retraining.

    Args:
        study: the study's folder.
        trial: the trial's number.
    """
    return study / FOLDER / str(trial)


def baseline_folder(study: Path, name: str) -> Path:
    """Return the folder of a baseline's trainings.

    Args:
        study: the study's folder.
        name: of the baseline, with its width multiplier.
    """
    return study / FOLDER / BASELINES / name


def seed_folder(trial: Path, seed: int) -> Path:
    """Return the folder of one seed in the folder of its trial's retraining."""
    return trial / f"seed{seed}"


def finished_result(folder: Path) -> dict[str, Any] | None:
    """Return the result of a seed that is trained in full and measured, and whose weights still exist; else None.

    A damaged result is none, so that the seed is measured again.

    Args:
        folder: the seed's folder.
    """
    result = next(iter(_read_all([folder / SEED_FILE], check_seed_result)), None)
    if result is None or not is_checkpoint(result.get("checkpoint")):
        return None
    return result if (folder / result["checkpoint"]).is_file() else None


def is_checkpoint(name: object) -> bool:
    """Return whether a stored value is the plain name of a checkpoint.

    >>> is_checkpoint("attempt1-epoch012.pt"), is_checkpoint("../attempt1-epoch012.pt"), is_checkpoint(None)
    (True, False, False)
    """
    return isinstance(name, str) and re.fullmatch(CHECKPOINT_FILES, name) is not None


def seed_results(folder: Path) -> list[dict[str, Any]]:
    """Return the results of all measured seeds of a trial, ordered by seed; damaged files are named and left out.

    Args:
        folder: the folder of the trial's retraining.
    """
    files = [file for file in folder.glob(f"seed*/{SEED_FILE}") if re.fullmatch(r"seed\d+", file.parent.name)]
    files.sort(key=lambda file: int(file.parent.name.removeprefix("seed")))
    return _read_all(files, check_seed_result)


def remove_results(folder: Path) -> None:
    """Remove the files that a retraining wrote, and its folders unless they hold other files.

    Args:
        folder: the folder of the trial's retraining.
    """
    for seed in [*folder.glob("seed*"), folder]:
        remove_files(seed, _WRITTEN)
        with suppress(OSError):  # files of others, or a link
            seed.rmdir()


def trial_results(study: Path) -> list[dict[str, Any]]:
    """Return the results of all retrained trials in a study's folder, ordered by trial; damaged ones as above."""
    files = [file for file in (study / FOLDER).glob(f"*/{TRIAL_FILE}") if file.parent.name.isdecimal()]
    return _read_all(sorted(files, key=lambda file: int(file.parent.name)), check_trial_result)


def baseline_results(study: Path) -> list[dict[str, Any]]:
    """Return the results of all baselines in a study's folder, ordered by name; damaged ones as above."""
    return _read_all(sorted((study / FOLDER / BASELINES).glob(f"*/{TRIAL_FILE}")), check_baseline_result)


def best_result(results: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the result of the seed with the best validation accuracy, the lowest seed of equals; None without any.

    The choice is by validation accuracy, so that the test accuracy of the exported network stays unbiased. Seeds that
    were trained on the validation part too have none, and the lowest is returned.

    Args:
        results: results of the measured seeds of one trial.
    """
    return max(results, key=lambda result: (result.get("val_accuracy") or 0.0, -result["seed"]), default=None)


def _read_all(paths: Iterable[Path], check: Callable[[Mapping[str, Any], str], None]) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        try:
            result = read_json(path)
            if result is not None:
                check(result, path.parent.name)
                found.append(result)
        except ValueError as error:
            log.warning("left out, %s is damaged: %s", path, error)
    return found
