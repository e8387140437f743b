"""When more training is not worth while: the hypervolume that an hour of it still gains."""

from __future__ import annotations

from collections.abc import Sequence

from nas.objectives.pareto import Axis, hypervolume, losses
from nas.study.trial import Record, Repeat


def gain_an_hour(records: Sequence[Record], axes: Sequence[Axis], patience: int) -> float | None:
    """Hypervolume that the last trials gained for an hour of training, over all slots.

    Args:
        records: all trials of a study.
        axes: its objectives.
        patience: how many of the trials that ended in full last are looked at, at least 1.

    Returns:
        None while there are not more of them than that.
    """
    complete = sorted((r for r in records if r.values), key=lambda record: (_clock(record), record.number))
    if len(complete) <= patience:
        return None
    points = losses(axes, [record.values for record in complete if record.values])
    gained = hypervolume(points) - hypervolume(points[:-patience])
    since = _clock(complete[-patience - 1])
    trainings = [training for record in records for training in record.all_trainings]
    seconds = sum(training.seconds for training in trainings if _clock(training) > since)
    return 3600 * gained / max(seconds, 1e-9)


def _clock(training: Record | Repeat) -> float:
    """When a training was last told of, in seconds of the search's clock."""
    return training.training.clock or 0.0
