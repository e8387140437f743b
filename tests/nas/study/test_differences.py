"""Differences between two stored documents: only what differs, by key, and never two sides of equal text."""

from __future__ import annotations

import pytest

from nas.study.differences import SHORT, differences

LONG = {"name": "quick", "branches": {f"k{size}": {"width": [0, 4, 8], "form": ["plain"]} for size in (1, 3, 5, 7)}}


def changed(**branch):
    return {**LONG, "branches": {**LONG["branches"], "k5": {**LONG["branches"]["k5"], **branch}}}


@pytest.mark.parametrize(
    ("stored", "asked", "clauses"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": None}, {}, []),
        ({"stages": [LONG]}, {"stages": [changed(width=[0, 4, 16])]},
         ["stages[quick].branches.k5.width is [0, 4, 8] in the study and [0, 4, 16] here"]),
        ({"stages": [LONG]}, {"stages": [changed(norm="batch")]},
         ['stages[quick].branches.k5.norm is null in the study and "batch" here']),
        ({"stages": [LONG, LONG]}, {"stages": [LONG]},
         ['stages is ["quick", "quick"] in the study and ["quick"] here']),
        ({"o": [{"name": "a", "worst": 1}, {"name": "b"}]}, {"o": [{"name": "a", "worst": 2}, {"name": "b"}]},
         ["o[a].worst is 1 in the study and 2 here"]),
        ({"o": [{"name": "a"}, {"name": "b"}]}, {"o": [{"name": "b"}]},
         ['o is ["a", "b"] in the study and ["b"] here']),
        ({"kernels": [1, 3]}, {"kernels": [1, 3, 5]}, ["kernels is [1, 3] in the study and [1, 3, 5] here"]),
        ({"s": [{"d": 1}, {"d": 2}]}, {"s": [{"d": 3}]},
         ["s has 2 items in the study and 1 here", "s[0].d is 1 in the study and 3 here"]),
        ({"w": list(range(40))}, {"w": [*range(39), 99]}, ["w[39] is 39 in the study and 99 here"]),
        ({"a": {"b": 1}}, {"a": 2}, ['a is {"b": 1} in the study and 2 here']),
    ],
)  # fmt: skip
def test_only_what_differs_is_named(stored, asked, clauses):
    assert differences(stored, asked) == clauses


def test_long_values_are_shown_where_they_differ():
    (clause,) = differences({"content": "0" * 100 + "a" + "1" * 100}, {"content": "0" * 100 + "b" + "1" * 100})
    old, new = clause.removeprefix("content is ").removesuffix(" here").split(" in the study and ")
    assert old != new
    assert old.startswith("…000")
    assert old.endswith("111…")
    assert max(len(old), len(new)) <= SHORT + 2


def test_one_long_value_that_begins_like_the_other_is_told_apart():
    (clause,) = differences({"path": "x" * 100}, {"path": "x" * 101})
    old, new = clause.removeprefix("path is ").removesuffix(" here").split(" in the study and ")
    assert old != new
