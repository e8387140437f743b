"""Tables whose validation and test part are swapped, and the lines of the calibration."""

from __future__ import annotations

import statistics

import belief_calibration
import pytest

from nas.tabular.table import read_table


def test_swapped_parts_are_seen_and_judged_in_each_others_place() -> None:
    table = read_table(belief_calibration.TABLES / "digits.parquet")
    swapped = belief_calibration.swapped(table)
    assert swapped.hash != table.hash
    assert (swapped.attrs["val_images"], swapped.attrs["test_images"]) == (
        table.attrs["test_images"],
        table.attrs["val_images"],
    )
    name, entry = next(iter(table.entries.items()))
    other = swapped.entries[name]
    for seed, curve in entry.curves.items():
        assert [epoch.val_accuracy for epoch in other.curves[seed]] == list(entry.test[seed])
        assert [epoch.seconds for epoch in other.curves[seed]] == [epoch.seconds for epoch in curve]
    last = [curve[-1].val_accuracy or 0.0 for curve in entry.curves.values()]
    assert other.test_accuracy == pytest.approx(statistics.fmean(last))
    back = belief_calibration.swapped(swapped).entries[name]
    assert (back.curves, back.test) == (entry.curves, entry.test)


def test_a_line_compares_what_was_said_with_what_is_true() -> None:
    judged = [belief_calibration.Judged(0.8, member, held=True) for member in (True, True, True, False)]
    judged.append(belief_calibration.Judged(0.0, member=False, held=False))
    assert belief_calibration.table(judged) == [
        "said 0.00, true 0.00 (n=1, off by +0.00)",
        "said 0.80, true 0.75 (n=4, off by -0.05)",
        "intervals of 90 % hold 80.0% of all, 100.0% of those near the front",
    ]
