"""Trials of a study as rows of its page: values, a learning curve of bounded length, and choices by column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, final

from nas.jobs import Curve, validated_part
from nas.reports.measures import CURVES
from nas.study.belief.gp import evenly
from nas.study.summary import shown_state
from nas.study.trial import Record

MOST_POINTS, FEW_POINTS, MANY_TRIALS = 60, 20, 1500
"""Points of a learning curve in a row, at most; those of a study that has many trials when it is opened; and how many
these are. The whole curve is a detail of the trial."""

ABSENT = -1
"""Index of the option of a choice that an architecture does not make."""


@final
class ChoiceTable:
    """Choices of a study's networks by column, each option written once.

    Columns and options are only ever added, so that the rows of before stay as they are.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.options: list[list[Any]] = []
        self._columns: dict[str, int] = {}
        self._places: list[dict[tuple[type, Any], int]] = []

    def row(self, choices: Mapping[str, Any]) -> list[int]:
        """Return the indices of some choices, by column; a row may be shorter than the columns, the rest is absent."""
        found: dict[int, int] = {}
        for name, value in choices.items():
            column = self._column(name)
            places = self._places[column]
            key = (type(value), value)
            if key not in places:
                places[key] = len(places)
                self.options[column].append(value)
            found[column] = places[key]
        return [found.get(column, ABSENT) for column in range(max(found, default=ABSENT) + 1)]

    def _column(self, name: str) -> int:
        if name not in self._columns:
            self._columns[name] = len(self.names)
            self.names.append(name)
            self.options.append([])
            self._places.append({})
        return self._columns[name]

    def to_json(self) -> dict[str, Any]:
        """Return the columns with their options."""
        return {"names": list(self.names), "options": [list(options) for options in self.options]}


def trial_row(record: Record, choices: Sequence[int], points: int, *, driven: bool) -> dict[str, Any]:
    """Return the row of a trial, without what is believed of it.

    Args:
        record: the trial.
        choices: its indices in the table of choices.
        points: number of points of its learning curve, at most.
        driven: whether a process drives the study now.
    """
    curve = shortened(record.curve, points)
    training = record.training
    row: dict[str, Any] = {
        "n": record.number,
        "id": record.candidate.id,
        "state": shown_state(record, driven=driven),
        "front": False,
        "summary": record.candidate.summary,
        "values": _values(record),
        "epochs": len(record.curve),
        "curve": curve_columns(curve),
        "failure": f"{record.failure.kind}: {record.failure.message}" if record.failure else None,
        "clock": number(training.clock),
        "believed": None,
        "choices": list(choices),
    }
    if len(curve) < len(record.curve):
        row["at"] = [point.epoch for point in curve]
    if (training.attempt or 1) > 1:
        row["attempt"] = training.attempt
    if record.candidate.extrapolated:
        row["extrapolated"] = list(record.candidate.extrapolated)
    if record.candidate.imported:
        row["imported"] = True
    if record.repeats:
        row["trainings"] = record.trainings
    if record.descent is not None:
        row["inherits"] = asdict(record.descent)
    return row


def _values(record: Record) -> dict[str, Any]:
    values: dict[str, Any] = {"trial": record.number, "seconds": round(record.spent, 3)}
    if record.curve:
        last = (validated_part(record.curve) or record.curve)[-1]
        values |= {name: number(getattr(last, name)) for name in CURVES}
    return values | dict(record.values or {}) | dict(record.candidate.costs)  # costs as the integers that they are


def shortened(curve: Curve, points: int) -> Curve:
    """Return some epochs of a curve, evenly spaced, among them the first and the last.

    Epochs without a validation give way to those with one.

    Args:
        curve: the curve.
        points: number of epochs, at most; at least 3.
    """
    if len(curve) <= points:
        return curve
    shown = [row for row in curve if row.validated] or list(curve)
    places = evenly(len(shown), points - 2)
    return tuple(curve[epoch - 1] for epoch in sorted({1, curve[-1].epoch, *(shown[place].epoch for place in places)}))


def curve_columns(curve: Curve) -> dict[str, list[float | None]]:
    """Return a learning curve by column, without numbers that JSON lacks."""
    return {name: [number(getattr(row, name)) for row in curve] for name in CURVES}


def number(value: float | None) -> float | None:
    """Return a number with 6 significant digits, enough for a figure; None if it is not finite, which JSON lacks."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")
