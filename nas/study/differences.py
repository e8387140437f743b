"""Differences between two stored documents, as readable clauses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

SHORT = 60
"""Characters of a value that a clause shows in full."""

CONTEXT = 12
"""Characters before the first difference of two long values that a clause shows."""


Sides = tuple[str, str]
"""What follows a value of the first and of the second document in a clause."""


def differences(
    stored: Mapping[str, Any],
    asked: Mapping[str, Any],
    path: str = "",
    *,
    sides: Sides = ("in the study", "here"),
) -> list[str]:
    """Return the differences between two fingerprints, one readable clause for each value that differs.

    What a document lacks counts as null.

    >>> differences({"data": {"resolution": 16}}, {"data": {"resolution": 32}})
    ['data.resolution is 16 in the study and 32 here']
    >>> differences({"stages": [{"depth": 1}, {"depth": 2}]}, {"stages": [{"depth": 1}, {"depth": 3, "pool": "max"}]})
    ['stages[1].depth is 2 in the study and 3 here', 'stages[1].pool is null in the study and "max" here']
    """
    found = []
    for key in sorted({*stored, *asked}):
        found += _of_values(f"{path}{key}", stored.get(key), asked.get(key), sides)
    return found


def _of_values(here: str, old: Any, new: Any, sides: Sides) -> list[str]:
    if old == new:
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return differences(old, new, f"{here}.", sides=sides)
    if _is_list(old) and _is_list(new):
        names = [[item.get("name") if isinstance(item, Mapping) else None for item in each] for each in (old, new)]
        if all(names) and None not in (*names[0], *names[1]):
            return _of_named(here, old, new, names, sides)
        nested = any(isinstance(item, Mapping) or _is_list(item) for item in (*old, *new))
        if len(old) == len(new) and (nested or max(len(_text(old)), len(_text(new))) > SHORT):
            pairs = enumerate(zip(old, new, strict=True))
            return [clause for place, pair in pairs for clause in _of_values(f"{here}[{place}]", *pair, sides)]
        if nested and len(old) != len(new):
            count = f"{here} has {len(old)} items {sides[0]} and {len(new)} {sides[1]}"
            pairs = enumerate(zip(old, new, strict=False))
            return [
                count,
                *(clause for place, pair in pairs for clause in _of_values(f"{here}[{place}]", *pair, sides)),
            ]
    first, second = _shown(_text(old), _text(new))
    return [f"{here} is {first} {sides[0]} and {second} {sides[1]}"]


def _of_named(here: str, old: Sequence[Any], new: Sequence[Any], names: Sequence[list[Any]], sides: Sides) -> list[str]:
    """Return the differences of two lists of objects that have names: the names, or else their values."""
    if names[0] != names[1]:
        return _of_values(here, names[0], names[1], sides)
    trios = zip(names[0], old, new, strict=True)
    return [clause for name, one, other in trios for clause in _of_values(f"{here}[{name}]", one, other, sides)]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shown(old: str, new: str) -> tuple[str, str]:
    """Return two different texts, each cut to the part in which they differ if it is long."""
    if max(len(old), len(new)) <= SHORT:
        return old, new
    pairs = enumerate(zip(old, new, strict=False))
    first = next((place for place, (one, other) in pairs if one != other), min(len(old), len(new)))
    start = max(0, first - CONTEXT)
    return _cut(old, start), _cut(new, start)


def _cut(text: str, start: int) -> str:
    end = start + SHORT
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")
