"""Preference between the weights of a search and those of a retraining, by their validation accuracies.

Weights that were trained on the validation part too have none: they stand by their mean test accuracy over all seeds,
so that no seed is chosen by the test part.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from nas.evaluation.retrain.files import best_result
from nas.jobs.links import stored_file
from nas.study.study import Study
from nas.study.trial import Record, State


def prefers_search(study: Study, record: Record, results: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the weights of the search are better than those of the retraining, beyond the 95 % interval.

    Args:
        study: the study.
        record: its trial.
        results: results of the measured seeds of the trial's retraining.
    """
    searched, best = search_accuracy(study, record), best_result(results)
    if searched is None or best is None:
        return False
    images = study.attribute("validation_images")
    if best.get("val_accuracy") is not None:
        found, behind = best["val_accuracy"], images
    else:
        found, behind = statistics.fmean(result["test_accuracy"] for result in results), best["test_images"]
    return bool(searched - found > difference_interval(searched, found, images, behind))


def difference_interval(first: float, second: float, images: int | None, others: int | None = None) -> float:
    """Return half the width of the 95 % interval of a difference of two accuracies.

    By the normal approximation of two independent binomial counts; 0 where the number of images is not known.

    Args:
        first: an accuracy in [0, 1].
        second: the other one.
        images: number of images behind the first, at least 1; None if it is not known.
        others: number of images behind the second; None for as many.

    >>> round(difference_interval(0.9, 0.9, 100), 4)
    0.0832
    """
    if not images:
        return 0.0
    return 1.96 * math.sqrt(first * (1 - first) / images + second * (1 - second) / (others or images))


def search_accuracy(study: Study, record: Record) -> float | None:
    """Return the validation accuracy of a trial's own weights, None if there are none."""
    named = record.training.checkpoint
    if record.state != State.COMPLETE or record.candidate.imported or not record.curve or named is None:
        return None
    return record.curve[-1].val_accuracy if stored_file(study.folder, named).is_file() else None
