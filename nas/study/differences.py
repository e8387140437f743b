"""Differences between two stored documents, as readable clauses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any], path: str = "") -> list[str]:
    """Return the differences between two fingerprints, one readable clause each.

    >>> differences({"data": {"resolution": 16}}, {"data": {"resolution": 32}})
    ['data.resolution is 16 in the study and 32 here']
    """
    found = []
    for key in sorted({*stored, *asked}):
        here, old, new = f"{path}{key}", stored.get(key), asked.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{here}.")
        elif old != new:
            found.append(f"{here} is {_short(old)} in the study and {_short(new)} here")
    return found


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
