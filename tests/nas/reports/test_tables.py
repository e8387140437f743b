"""Columns of tables, and numbers as text."""

from __future__ import annotations

import pytest

from nas.reports.tables import front_columns
from nas.reports.text import duration_text, number_text, size_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (0.91234, "0.9123"), (12.5, "12.50"), (2344.0, "2,344"), (1e9, "1,000,000,000")],
)
def test_numbers(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (42.31, "42 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3725.4, "1 h 2 min"),
        (3605, "1 h"),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(1, "1"), (999_999, "999,999"), (13 * 10**20, "about 1.3e+21"), (7 * 10**400, "about 10^400")],
)
def test_sizes(size, text):
    assert size_text(size) == text


def test_a_cost_that_is_an_objective_stands_there_once():
    document = {"objectives": ["macs", "val_accuracy"], "front": []}
    assert front_columns(document) == ["macs", "val_accuracy", "params", "memory_mib"]
