"""Convergence of a search: the hypervolume that an hour of training still gains."""

from __future__ import annotations

from collections.abc import Sequence

from nas.objectives.pareto import hypervolume
from nas.study.belief import Believer
from nas.study.trial import Record, Repeat


def gain_an_hour(records: Sequence[Record], believer: Believer, patience: int) -> float | None:
    """Return the hypervolume that the last complete trials gained for an hour of training, summed over all slots.

    Args:
        records: all trials of a study.
        believer: its believer.
        patience: number of the last complete trials to look at, at least 1.

    Returns:
        None unless more than `patience` trials are complete.
    """
    complete = sorted((r for r in records if r.values), key=lambda record: (_clock(record), record.number))
    if len(complete) <= patience:
        return None
    points = believer.losses(complete)
    gained = hypervolume(points) - hypervolume(points[:-patience])
    since = _clock(complete[-patience - 1])
    trainings = [training for record in records for training in record.all_trainings]
    seconds = sum(training.seconds for training in trainings if _clock(training) > since)
    return 3600 * gained / max(seconds, 1e-9)


def _clock(training: Record | Repeat) -> float:
    """Return the seconds of the search's clock at which a training was last stored."""
    return training.training.clock or 0.0
