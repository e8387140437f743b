"""What a retraining comes to: a document a trial, with each seed's numbers and their mean and spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.evaluation.retrain.files import SEED_FILE, TRIAL_FILE, seed_folder, trial_folder
from nas.evaluation.retrain.task import Task
from nas.jobs import Failure
from nas.jobs.files import read_json
from nas.study.study import StudyMismatchError, differences
from nas.study.trial import Record

SPREAD = ("test_accuracy", "test_balanced_accuracy", "val_accuracy")


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, standard deviation over seeds (n - 1 in the denominator, null for one value) and number of values.

    >>> spread([0.5, 0.7])
    {'mean': 0.6, 'sd': 0.1414213562373095, 'n': 2}
    """
    if not values:
        return {"mean": None, "sd": None, "n": 0}
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "sd": sd, "n": len(values)}


def network_document(record: Record, settings: Mapping[str, Any], seeds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The result of one network.

    Args:
        record: the trial.
        settings: what it was retrained with.
        seeds: the results of its seeds that are done.
    """
    measured = sorted(seeds, key=lambda seed: int(seed["seed"]))
    return {
        "trial": record.number,
        "id": record.candidate.id,
        "network_id": record.candidate.network_id,
        "summary": record.candidate.summary,
        "architecture": dict(record.candidate.architecture),
        "costs": dict(record.candidate.costs),
        "values": dict(record.values or {}),
        **{name: spread([seed[name] for seed in measured]) for name in SPREAD},
        "seeds": measured,
        **settings,
    }


def measured_seeds(folder: Path) -> list[dict[str, Any]]:
    """The results of all seeds that are done in a trial's folder, in order of the seeds.

    Raises:
        ValueError: a file there holds something else.
    """
    found = [read_json(path) for path in folder.glob(f"seed*/{SEED_FILE}")]
    return sorted((seed for seed in found if seed is not None), key=lambda seed: int(seed["seed"]))


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to go on with a retraining that was begun with something else.

    Args:
        folder: the trial's folder.
        settings: `training` and `data`, as `network_document` takes them.

    Raises:
        StudyMismatchError: the message says what differs, and how to begin anew.
    """
    stored = read_json(folder / TRIAL_FILE)
    if stored is None:
        return
    kept = ("training", "data")
    found = differences({key: stored.get(key) for key in kept}, {key: settings[key] for key in kept})
    if found:
        raise StudyMismatchError(
            f"a retraining goes on with what it was begun with; in {folder} "
            f"{'; '.join(clause.replace(' in the study', ' there') for clause in found)}. "
            f"replace=true throws it away and begins anew"
        )


def best_seed(study: Path, trial: int) -> tuple[Path, dict[str, Any]] | None:
    """The seed of a retrained trial with the best validation accuracy, its folder and result; None without any.

    Validation chooses, so that the test accuracy of what is handed over stays an unbiased measurement; of equals, the
    lowest seed is taken.
    """
    folder = trial_folder(study, trial)
    measured = measured_seeds(folder)
    if not measured:
        return None
    best = max(measured, key=lambda seed: (seed["val_accuracy"], -seed["seed"]))
    return seed_folder(folder, best["seed"]), best


def failed_clause(tasks: Iterable[Task], failures: Mapping[Path, Failure]) -> str:
    """The seeds that failed for good, in one line; empty where none did."""
    return "; ".join(
        f"trial {task.record.number} seed {task.seed} failed ({failure.kind}): {failure.message}"
        for task in tasks
        if (failure := failures.get(task.folder)) is not None
    )
