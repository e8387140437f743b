"""A stored curve is checked column by column, and refused by the same laws as row by row."""

from __future__ import annotations

import math
from typing import Any

import pytest
from engine import curve

from nas.jobs import curve_seconds
from nas.study.checked import DamageError
from nas.study.stored_curve import curve_of, totals_of

ROWS = [row.to_json() for row in curve(3, 0.5)]
UNVALIDATED = {"val_loss": None, "val_accuracy": None, "val_balanced_accuracy": None}


def changed(place: int, **values: Any) -> list[Any]:
    return [{**row, **values} if index == place else row for index, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        ROWS,
        changed(1, train_loss=math.nan),
        changed(2, val_loss=math.inf),
        changed(1, **UNVALIDATED),
        changed(0, seconds=1, val_accuracy=1),
    ],
)
def test_a_curve_is_read_whole_and_by_its_totals_alone(rows: list[Any]) -> None:
    found = curve_of(rows)
    assert [repr(row.to_json()) for row in found] == list(map(repr, rows))
    assert totals_of(rows) == {"epochs": len(found), "seconds": curve_seconds(found)}


@pytest.mark.parametrize(
    ("rows", "law"),
    [
        ({}, "curve must be a JSON list"),
        (changed(1, epoch=3), "number of epoch 2 of the curve must be an integer from 2 to 2, got 3"),
        (changed(0, epoch=True), "number of epoch 1 of the curve must be an integer"),
        (changed(1, epoch=2.0), "number of epoch 2 of the curve must be an integer"),
        (changed(2, val_accuracy=1.5), "val_accuracy of epoch 3 of the curve must be a finite number from 0 to 1"),
        (changed(1, val_balanced_accuracy=math.nan), "val_balanced_accuracy of epoch 2 of the curve must be a finite"),
        (changed(1, val_accuracy=None), "val_accuracy of epoch 2 of the curve must be a finite number"),
        (changed(1, train_loss=-1.0), "train_loss of epoch 2 of the curve must be a number of at least 0"),
        (changed(1, val_loss=-math.inf), "val_loss of epoch 2 of the curve must be a number of at least 0"),
        (changed(2, seconds=math.inf), "seconds of epoch 3 of the curve must be a finite number of at least 0"),
        (changed(2, seconds=True), "seconds of epoch 3 of the curve must be a finite number"),
        (changed(2, more=1), "epoch 3 of the curve must have epoch, seconds"),
        ([*ROWS, [1, 2, 3]], "epoch 4 of the curve must be a JSON object"),
        ([*ROWS, None], "epoch 4 of the curve must be a JSON object"),
        ([{}], "epoch 1 of the curve must have"),
    ],
)
def test_a_damaged_curve_is_named(rows: Any, law: str) -> None:
    for read in (curve_of, totals_of):
        with pytest.raises(DamageError, match=law):
            read(rows)
