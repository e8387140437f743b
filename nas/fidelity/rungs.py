"""Rungs: the epochs at which trainings stop for a decision, and the trials that were interrupted before them."""

from __future__ import annotations

from collections.abc import Sequence

from nas.fidelity.policy import Standing, Thaw
from nas.study.trial import Record


def rung_epochs(shares: Sequence[float], epochs: int) -> tuple[int, ...]:
    """Return the epochs of the rungs, ascending; the last one is the end of a full training.

    Args:
        shares: shares of a full training, each in (0, 1).
        epochs: epochs of a full training, at least 1.

    Raises:
        ValueError: there is no share, or one is out of range.

    >>> rung_epochs([1 / 3, 0.34, 2 / 3], 9)
    (3, 6, 9)
    """
    if not shares or not all(0 < share < 1 for share in shares):
        raise ValueError(f"fidelity.options.rungs must be shares of a training in (0, 1), got {list(shares)}")
    return tuple(sorted({min(epochs, max(1, round(share * epochs))) for share in shares} | {epochs}))


def target_rung(record: Record, rungs: Sequence[int]) -> int:
    """Return the rung that a trial's last job was to reach."""
    return rungs[0] if record.goal is None else record.goal


def next_rung(record: Record, rungs: Sequence[int]) -> int:
    """Return the rung after the one that a trial has reached."""
    return next((rung for rung in rungs if rung > len(record.curve)), rungs[-1])


def resume_interrupted(standing: Standing, rungs: Sequence[int]) -> Thaw | None:
    """Return the job of the first trial that was interrupted before its rung, or before it was stored as complete.

    A trial that another policy stopped before the first rung goes on to that.
    """
    for record in standing.waiting:
        goal = max(target_rung(record, rungs), rungs[0])
        if len(record.curve) < goal or len(record.curve) == rungs[-1]:
            return Thaw(record.number, goal)
    return None


def count_promotions(standing: Standing, rungs: Sequence[int]) -> int:
    """Return the number of promotions beyond the first rung so far, running ones included."""
    reached = [max(len(record.curve), target_rung(record, rungs)) for record in standing.records.values()]
    return sum(sum(rung <= epochs for rung in rungs[1:]) for epochs in reached)
