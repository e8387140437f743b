"""Result document of a retrained network: scores of each seed, with mean and standard deviation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.config.commands.networks import TRAIN
from nas.evaluation.retrain.checks import AVERAGED
from nas.evaluation.retrain.files import TRIAL_FILE
from nas.evaluation.retrain.task import RetrainTask
from nas.jobs import Failure
from nas.jobs.files import read_json
from nas.study.differences import differences
from nas.study.study import StudyMismatchError


def mean_and_sd(values: Sequence[float]) -> dict[str, float | int | None]:
    """Return mean, standard deviation (n - 1 in the denominator, null for one value) and number of values.

    >>> mean_and_sd([0.25, 0.5, 0.75])
    {'mean': 0.5, 'sd': 0.25, 'n': 3}
    """
    if not values:
        return {"mean": None, "sd": None, "n": 0}
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "sd": sd, "n": len(values)}


def network_document(
    facts: Mapping[str, Any],
    settings: Mapping[str, Any],
    seeds: Iterable[Mapping[str, Any]],
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the result document of one network.

    Args:
        facts: identities, summary, architecture, costs and values, which head it.
        settings: `training`, `data` and `train_on` of the retraining.
        seeds: results of the measured seeds.
        classes: names of the classes, in the order of the labels; empty leaves out the scores of each.
    """
    measured = sorted(seeds, key=lambda seed: int(seed["seed"]))
    return {
        **facts,
        **{name: mean_and_sd(known_values(measured, name)) for name in AVERAGED},
        **({"classes": class_means(measured, classes)} if classes else {}),
        "seeds": measured,
        **settings,
    }


def class_means(seeds: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return name, mean precision, mean recall and number of test images of each class, over the seeds.

    A mean is None where no seed has the score. Results of before there were such scores count for none.

    Args:
        seeds: results of the measured seeds.
        classes: names of the classes, in the order of the labels.
    """
    scored = [seed["test_classes"] for seed in seeds if len(seed.get("test_classes", ())) == len(classes)]
    found = []
    for place, name in enumerate(classes):
        own = [classes_of_seed[place] for classes_of_seed in scored]
        means = {}
        for score in ("precision", "recall"):
            values = known_values(own, score)
            means[score] = math.fsum(values) / len(values) if values else None
        found.append({"name": name, **means, "n": own[0]["n"] if own else None})
    return found


def known_values(seeds: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    """Return the values of one name in the results of seeds that have it."""
    return [seed[name] for seed in seeds if seed.get(name) is not None]


def averages(document: Mapping[str, Any]) -> dict[str, float]:
    """Return means, deviations and counts of a result document under keys such as `test_accuracy/mean`."""
    return {f"{name}/{part}": value for name in AVERAGED for part, value in document[name].items() if value is not None}


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to continue a retraining that was started with other settings.

    Args:
        folder: the folder of the network's retraining.
        settings: `training`, `data` and `train_on`, as `network_document` takes them.

    Raises:
        StudyMismatchError: as above; the message gives the differences, and how to start anew.
    """
    stored = read_json(folder / TRIAL_FILE)
    if stored is None or not isinstance(stored.get("training"), Mapping):  # none, or damaged
        return
    kept = ("training", "data")
    here = {**{key: settings[key] for key in kept}, "train_on": settings.get("train_on", TRAIN)}
    there = {**{key: stored.get(key) for key in kept}, "train_on": stored.get("train_on", TRAIN)}
    found = differences(there, here)
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
