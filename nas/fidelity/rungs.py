"""Where trainings stop for a decision, and which of them were cut short before they got there."""

from __future__ import annotations

from collections.abc import Sequence

from nas.fidelity.policy import Standing, Thaw
from nas.study.trial import Record


def rungs_of(shares: Sequence[float], epochs: int) -> tuple[int, ...]:
    """Epochs at which a training stops, the last of a full training included.

    Args:
        shares: of the full training, each in (0, 1).
        epochs: of a full training, at least 1.

    Raises:
        ValueError: no share, or one out of range.

    >>> rungs_of([1 / 3, 0.34, 2 / 3], 9)
    (3, 6, 9)
    """
    if not shares or not all(0 < share < 1 for share in shares):
        raise ValueError(f"fidelity.options.rungs must be shares of a training in (0, 1), got {list(shares)}")
    return tuple(sorted({min(epochs, max(1, round(share * epochs))) for share in shares} | {epochs}))


def goal_of(record: Record, rungs: Sequence[int]) -> int:
    """The rung that a trial's last job was to reach."""
    return rungs[0] if record.goal is None else record.goal


def next_rung(record: Record, rungs: Sequence[int]) -> int:
    """The rung after the one that a trial stands at."""
    return next((rung for rung in rungs if rung > len(record.curve)), rungs[-1])


def cut_short(standing: Standing, rungs: Sequence[int]) -> Thaw | None:
    """What to do about the first trial that a stop or a failure kept from its rung, or from being told as complete."""
    for record in standing.waiting:
        goal = goal_of(record, rungs)
        if len(record.curve) < goal or len(record.curve) == rungs[-1]:
            return Thaw(record.number, goal)
    return None


def promotions(standing: Standing, rungs: Sequence[int]) -> int:
    """How often trials were trained beyond their first rung, or are now: once for each further rung."""
    reached = [max(len(record.curve), goal_of(record, rungs)) for record in standing.records.values()]
    return sum(sum(rung <= epochs for rung in rungs[1:]) for epochs in reached)
