"""Stored learning curve to value: epochs count from 1, accuracies lie in [0, 1], losses and seconds are not negative.

A loss may be no number: the last step of a training can make it so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from nas.jobs import Curve, Epoch
from nas.study.checked import DamageError, items, mapping, real, shown, whole

ACCURACIES = ("val_accuracy", "val_balanced_accuracy")
_ROW = tuple(Epoch.__dataclass_fields__)
_CELLS = itemgetter(*_ROW)
_NUMBERS = frozenset((int, float))


def curve_of(document: object) -> Curve:
    """Return a learning curve.

    Raises:
        DamageError: it is none.
    """
    return tuple(Epoch(**row) for row in _checked(document))


def totals_of(document: object) -> dict[str, float]:
    """Return the number of epochs and the training seconds of a learning curve, without making its rows.

    Raises:
        DamageError: it is none.
    """
    rows = _checked(document)
    return {"epochs": len(rows), "seconds": sum(row["seconds"] for row in rows)}


def _checked(document: object) -> list[dict[str, Any]]:
    rows = items(document, "curve")
    if not _are_sound(rows):
        for place, row in enumerate(rows, 1):
            if not isinstance(row, dict) or row.keys() != set(_ROW) or not _is_row(row, place):
                _explain_row(row, place)
    return rows


def _are_sound(rows: Sequence[Any]) -> bool:
    """Return whether all rows are in their ranges, column by column; false also where a value is no number."""
    try:
        columns = list(zip(*map(_CELLS, rows), strict=True))
    except (LookupError, TypeError):
        return False
    if not columns or set(map(len, rows)) != {len(_ROW)} or {type(cell) for cell in columns[0]} != {int}:
        return not rows
    for column in columns:
        if not set(map(type, column)) <= _NUMBERS or not 0 <= min(column) <= sum(column) < math.inf:
            return False
    _, _, _, *accuracies, _ = columns
    return columns[0] == tuple(range(1, len(rows) + 1)) and max(map(max, accuracies)) <= 1


def _is_row(row: Mapping[str, Any], place: int) -> bool:
    """Return whether the values of a row are in their ranges; an epoch without validation has no scores at all."""
    if row["val_loss"] is None and {row[key] for key in ACCURACIES} == {None}:
        row = {**row, "val_loss": 0.0, **dict.fromkeys(ACCURACIES, 0.0)}
    return (
        {type(value) for value in row.values()} <= _NUMBERS
        and row["epoch"] == place
        and type(row["epoch"]) is int
        and 0 <= row["val_accuracy"] <= 1
        and 0 <= row["val_balanced_accuracy"] <= 1
        and not row["train_loss"] < 0
        and not row["val_loss"] < 0
        and 0 <= row["seconds"] < math.inf
    )


def _explain_row(row: object, place: int) -> None:
    """Raise the error that states what a row of a curve lacks."""
    name = f"epoch {place} of the curve"
    found = mapping(row, name)
    if found.keys() != set(_ROW):
        raise DamageError(f"{name} must have {', '.join(sorted(_ROW))}, got {shown(sorted(found))}")
    whole(found["epoch"], f"number of {name}", place, place)
    for key in ACCURACIES:
        real(found[key], f"{key} of {name}", 0, 1)
    real(found["seconds"], f"seconds of {name}", 0)
    for key in ("train_loss", "val_loss"):
        if type(found[key]) not in _NUMBERS or found[key] < 0:
            raise DamageError(f"{key} of {name} must be a number of at least 0, got {shown(found[key])}")
    raise DamageError(f"{name} must hold numbers, got {shown(found)}")
