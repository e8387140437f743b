"""Checks of stored JSON values: each law is one function that returns the value or raises."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

LARGEST = 2**63 - 1
"""Largest stored integer: what a database column and every reader of JSON hold exactly enough."""

LARGEST_COUNT = 10**12
"""Largest number of asks or images."""

SHOWN = 60


UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError, OverflowError)
"""Errors of decoders on a row that no program of ours wrote."""


class DamageError(ValueError):
    """Stored value that no search writes; the message states the law and the value."""


def shown(value: object) -> str:
    """Return a value in at most `SHOWN` characters of one line.

    >>> shown({"a": None})
    '{"a": null}'
    """
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def reason(error: BaseException) -> str:
    """Return an error of a library as a short clause."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:120]}" if said else type(error).__name__


def readable(stored: Mapping[str, Any], key: str) -> Any:
    """Return a stored value, None if there is none.

    Raises:
        DamageError: it can't be decoded.
    """
    try:
        return stored.get(key)
    except UNREADABLE as error:
        raise DamageError(f"it must be readable, got {reason(error)}") from None


def or_reason(stored: Mapping[str, Any], key: str) -> Any:
    """Return a stored value, or the reason why it can't be decoded."""
    try:
        return stored[key]
    except UNREADABLE as error:
        return reason(error)


def mapping(value: object, name: str) -> Mapping[str, Any]:
    """Return a JSON object whose keys are text.

    Raises:
        DamageError: it is none.
    """
    if not isinstance(value, Mapping) or not set(map(type, value)) <= {str}:
        raise DamageError(f"{name} must be a JSON object, got {shown(value)}")
    return value


def items(value: object, name: str) -> list[Any]:
    """Return a JSON list.

    Raises:
        DamageError: it is none.
    """
    if not isinstance(value, list):
        raise DamageError(f"{name} must be a JSON list, got {shown(value)}")
    return value


def text(value: object, name: str) -> str:
    """Return a text that is not empty.

    Raises:
        DamageError: it is none.
    """
    if not isinstance(value, str) or not value:
        raise DamageError(f"{name} must be a text, got {shown(value)}")
    return value


def truth(value: object, name: str) -> bool:
    """Return true or false.

    Raises:
        DamageError: it is neither.
    """
    if not isinstance(value, bool):
        raise DamageError(f"{name} must be true or false, got {shown(value)}")
    return value


def whole(value: object, name: str, least: int = 0, most: int = LARGEST) -> int:
    """Return an integer within a range.

    Raises:
        DamageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bound = f"of at least {least}" if most == LARGEST else f"from {least} to {most}"
        raise DamageError(f"{name} must be an integer {bound}, got {shown(value)}")
    return value


def real(value: object, name: str, least: float = -math.inf, most: float = math.inf) -> float:
    """Return a finite number within a range.

    Raises:
        DamageError: it is none.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most or not -math.inf < value < math.inf:  # type: ignore[operator]
        raise DamageError(f"{name} must be a finite number{_range(least, most)}, got {shown(value)}")
    return value  # type: ignore[return-value]  # an integer stays one


def _range(least: float, most: float) -> str:
    if least == -math.inf:
        return ""
    return f" of at least {least:g}" if most == math.inf else f" from {least:g} to {most:g}"
