"""Result document of a retrained network: scores of each seed, with mean and standard deviation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.evaluation.retrain.checks import AVERAGED
from nas.evaluation.retrain.files import TRIAL_FILE
from nas.evaluation.retrain.task import RetrainTask
from nas.jobs import Failure
from nas.jobs.files import read_json
from nas.study.differences import differences
from nas.study.study import StudyMismatchError
from nas.study.trial import Record


def mean_and_sd(values: Sequence[float]) -> dict[str, float | int | None]:
    """Return mean, standard deviation (n - 1 in the denominator, null for one value) and number of values.

    >>> mean_and_sd([0.25, 0.5, 0.75])
    {'mean': 0.5, 'sd': 0.25, 'n': 3}
    """
    if not values:
        return {"mean": None, "sd": None, "n": 0}
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "sd": sd, "n": len(values)}


def network_document(record: Record, settings: Mapping[str, Any], seeds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the result document of one network.

    Args:
        record: the trial.
        settings: `training` and `data` of the retraining.
        seeds: results of the measured seeds.
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
        **{name: mean_and_sd([seed[name] for seed in measured]) for name in AVERAGED},
        "seeds": measured,
        **settings,
    }


def averages(document: Mapping[str, Any]) -> dict[str, float]:
    """Return means, deviations and counts of a result document under keys such as `test_accuracy/mean`."""
    return {f"{name}/{part}": value for name in AVERAGED for part, value in document[name].items() if value is not None}


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to continue a retraining that was started with other settings.

    Args:
        folder: the folder of the trial's retraining.
        settings: `training` and `data`, as `network_document` takes them.

    Raises:
        StudyMismatchError: as above; the message gives the differences, and how to start anew.
    """
    stored = read_json(folder / TRIAL_FILE)
    if stored is None or not isinstance(stored.get("training"), Mapping):  # none, or damaged
        return
    kept = ("training", "data")
    found = differences({key: stored.get(key) for key in kept}, {key: settings[key] for key in kept})
    if found:
        raise StudyMismatchError(
            f"a retraining must continue with its own settings; in {folder} "
            f"{'; '.join(clause.replace(' in the study', ' there') for clause in found)}. "
            f"replace=true deletes it and starts anew"
        )


def failure_summary(tasks: Iterable[RetrainTask], failures: Mapping[Path, Failure]) -> str:
    """Return the failed seeds with their causes in one line, empty if there are none.

    Args:
        tasks: all tasks of the retraining.
        failures: cause of failure by the folder of the task.
    """
    return "; ".join(
        f"{task.label} failed ({failure.kind}): {failure.message}"
        for task in tasks
        if (failure := failures.get(task.folder)) is not None
    )


def average_line(label: str, scores: Mapping[str, Any]) -> str | None:
    """Return the line that tells of a network whose average was not taken, None for any other.

    Args:
        label: names the network.
        scores: of a network that was handed over or retrained.
    """
    if scores.get("val_accuracy_of_average") is None:
        return None
    return (
        f"{label}: the averaged weights reach a validation accuracy of {scores['val_accuracy_of_average']:.4f}, "
        f"the last ones {scores['val_accuracy']:.4f}: the last ones are taken"
    )
