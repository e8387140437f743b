"""Progress of a search: the hypervolume, or the best value of a single objective, after every ended trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.objectives.pareto import Axis, front, hypervolume
from nas.study.trial import Record, State, in_order_of_ends

Floats = NDArray[np.float64]
COLUMNS = ("trials", "seconds", "clock", "values")


def progress(records: Sequence[Record], complete: Sequence[Record], believed: Floats, axes: Sequence[Axis]) -> Any:
    """Return the progress of a search; a trial counts with what is believed of it now.

    Args:
        records: the trials of a study.
        complete: those that are complete.
        believed: (n, m) believed losses of these.
        axes: the objectives.

    Returns:
        `measure` (`hypervolume` or the objective's name) and lists of equal length: number of ended `trials`, `seconds`
        of training until then, seconds of the search's `clock`, and `values`, None before the first complete trial.
        Points between two of the same value are left out.
    """
    ended = in_order_of_ends(record for record in records if record.state != State.RUNNING)
    losses = {record.number: row for record, row in zip(complete, believed, strict=True)}
    best, value = believed[:0], None
    seconds = clock = 0.0
    points: list[tuple[float | None, ...]] = []
    for count, record in enumerate(ended, 1):
        seconds += record.spent
        clock = max(clock, record.training.clock or 0.0)
        if record.number in losses and not (best <= losses[record.number]).all(axis=1).any():  # else nothing changes
            best = np.vstack([best, losses[record.number]])
            best = best[front(best)]
            value = _value_of(best, axes)
        points.append((count, round(seconds, 3), round(clock, 3), value))
    columns = zip(*_thinned(points), strict=True) if points else ((), (), (), ())
    measure = "hypervolume" if len(axes) > 1 else axes[0].name
    return {"measure": measure} | {name: list(column) for name, column in zip(COLUMNS, columns, strict=True)}


def _thinned(points: list[tuple[float | None, ...]]) -> list[tuple[float | None, ...]]:
    """Return the points without those whose neighbours have the same value: the line between stays as it is."""
    values = [point[-1] for point in points]
    inner = range(1, len(points) - 1)
    idle = {place for place in inner if values[place - 1] == values[place] == values[place + 1]}
    return [point for place, point in enumerate(points) if place not in idle]


def _value_of(best: Floats, axes: Sequence[Axis]) -> float | None:
    if len(best) == 0:
        return None
    if len(axes) > 1:
        return round(hypervolume(best), 6)
    return round(float(axes[0].value(best.min(axis=0))[0]), 6)
