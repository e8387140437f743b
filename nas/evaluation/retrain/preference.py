"""Preference between the weights of a search and those of a retraining, by their validation accuracies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nas.evaluation.retrain.files import best_result
from nas.jobs.links import stored_file
from nas.study.study import Study
from nas.study.trial import Record, State


def prefers_search(study: Study, record: Record, results: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the weights of the search are better than the best retrained ones, beyond the 95 % interval.

    Args:
        study: the study.
        record: its trial.
        results: results of the measured seeds of the trial's retraining.
    """
    searched, best = search_accuracy(study, record), best_result(results)
    if searched is None or best is None:
        return False
    reach = difference_interval(searched, best["val_accuracy"], study.attribute("validation_images"))
    return bool(searched - best["val_accuracy"] > reach)


def difference_interval(first: float, second: float, images: int | None) -> float:
    """Return half the width of the 95 % interval of a difference of two accuracies on as many images each.

    By the normal approximation of two independent binomial counts; 0 where the number of images is not known.

    Args:
        first: an accuracy in [0, 1].
        second: the other one.
        images: number of images behind each, at least 1; None if it is not known.

    >>> round(difference_interval(0.9, 0.9, 100), 4)
    0.0832
    """
    if not images:
        return 0.0
    return 1.96 * math.sqrt((first * (1 - first) + second * (1 - second)) / images)


def search_accuracy(study: Study, record: Record) -> float | None:
    """Return the validation accuracy of a trial's own weights, None if there are none."""
    named = record.training.checkpoint
    if record.state != State.COMPLETE or record.candidate.imported or not record.curve or named is None:
        return None
    return record.curve[-1].val_accuracy if stored_file(study.folder, named).is_file() else None
