"""Ranges of the numbers of a configuration, stated at its fields, and the check of all fields of a value."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

LONGEST_TEXT = 4096
"""Most characters of a text: a path of Linux has no more."""

SHOWN = 60
"""Most characters of a refused value in a message."""


@dataclass(frozen=True)
class Range:
    """Interval of a number, closed at both ends if not said otherwise; never with infinity or a value that is none.

    Attributes:
        least: lower end.
        most: upper end.
        above: true if the lower end is not in the interval.
        below: true if the upper end is not in the interval.
    """

    least: float
    most: float
    above: bool = False
    below: bool = False

    def holds(self, number: float) -> bool:
        """Return whether a number is in the interval."""
        lower = self.least < number if self.above else self.least <= number
        return lower and (number < self.most if self.below else number <= self.most)

    def law(self, number: float) -> str:
        """Return the law that a number outside breaks.

        >>> Range(1, 10).law(0), Range(0, 10, above=True).law(-1.0), Range(1, 1000).law(2000)
        ('at least 1', 'positive', 'at most 1000')
        """
        if self.most <= 1 and self.least == 0:
            return f"in {'(' if self.above else '['}0, {self.most:g}{')' if self.below else ']'}"
        if math.isnan(number) and not (self.above and self.least == 0):
            return "a number"
        if number >= self.most:
            return f"{'less than' if self.below else 'at most'} {_plain(self.most)}"
        return "positive" if self.above and self.least == 0 else f"at least {_plain(self.least)}"


def _plain(number: float) -> str:
    return f"{number:.0f}" if number == int(number) and abs(number) < 1e15 else f"{number:g}"


MANY = 1_000_000
LARGEST_SEED = 2**63 - 1
TEN_YEARS = 10 * 366 * 24 * 60.0
HUGE = 1e18
"""Largest magnitude of a quantity: a million times the MACs of the largest networks in use."""

Count = Annotated[int, Range(1, MANY)]
Total = Annotated[int, Range(0, MANY, above=True)]
Seed = Annotated[int, Range(0, LARGEST_SEED)]
Few = Annotated[int, Range(1, 1000)]
Slots = Annotated[int, Range(1, 4096)]
Minutes = Annotated[float, Range(0, TEN_YEARS, above=True)]
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
ShareAboveZero = Annotated[float, Range(0, 1, above=True)]
Inside = Annotated[float, Range(0, 1, above=True, below=True)]
Positive = Annotated[float, Range(0, HUGE, above=True)]
Finite = Annotated[float, Range(-HUGE, HUGE)]


def show(value: object) -> str:
    """Return a value as a message shows it: on one line, cut if it is long.

    >>> show("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"
    >>> show(10**5000)
    'an integer of 16610 bits'
    """
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value[: 2 * SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def check_number(name: str, value: object, interval: Range, *, whole: bool = False) -> None:
    """Refuse a value that is not a number in its range.

    Raises:
        ValueError: such a value; the message names it.
    """
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        law = "a whole number" if whole else "a number"
        raise ValueError(f"{name} must be {law}, got {show(value)}")  # noqa: TRY004 - a user's value
    if not interval.holds(value):
        law = interval.law(value)
        raise ValueError(f"{name} must {'lie' if law[:2] == 'in' else 'be'} {law}, got {show(value)}")


def check_text(name: str, value: object) -> None:
    """Refuse a value that is no text, has a null character, or is longer than `LONGEST_TEXT`.

    Raises:
        ValueError: such a value; the message names it.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {show(value)}")  # noqa: TRY004 - a user's value
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{name} must have at most {LONGEST_TEXT} characters, got {len(value)}")
    if "\0" in value:
        raise ValueError(f"{name} must have no null character, got {show(value)}")


def check_fields(spec: Any, path: str = "") -> None:
    """Refuse a configuration with a field of another type than it states, or with a number outside its range.

    Args:
        spec: the frozen value, whose numbers have a `Range` in their annotations.
        path: key of the value in the whole configuration, empty at the top.

    Raises:
        ValueError: such a field; the message names it.
    """
    kind: Any = type(spec)
    for name, annotation in hints_of(kind).items():
        _check(f"{path}.{name}" if path else name, getattr(spec, name), annotation)


@cache
def hints_of(spec: Any) -> Mapping[str, Any]:
    """Return the annotations of the fields of a class, with their ranges."""
    hints = typing.get_type_hints(spec, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(spec)}


def interval_of(annotation: Any) -> Range | None:
    """Return the range that an annotation, or a member of a union, states; None if it states none."""
    for member in members_of(annotation):
        for extra in getattr(member, "__metadata__", ()):
            if isinstance(extra, Range):
                return extra
    return None


def members_of(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the annotation itself."""
    union = typing.get_origin(annotation) in {types.UnionType, typing.Union}
    return typing.get_args(annotation) if union else (annotation,)


def _check(name: str, value: object, annotation: Any) -> None:
    members = members_of(annotation)
    if value is None and type(None) in members:
        return
    if isinstance(value, str) and str in members:
        check_text(name, value)
        return
    _check_plain(
        name, value, next(member for member in members if member not in {type(None), str} or member is members[0])
    )


def _check_plain(name: str, value: object, annotation: Any) -> None:
    interval, kind = interval_of(annotation), typing.get_origin(annotation) or annotation
    if interval is not None:
        check_number(name, value, interval, whole=annotation.__origin__ is int)
    elif kind is str:
        check_text(name, value)
    elif kind is tuple:
        _check_items(name, value, typing.get_args(annotation)[0])
    elif isinstance(kind, type) and not isinstance(value, kind):
        raise ValueError(f"{name} must be {_kind(kind)}, got {show(value)}")


def _check_items(name: str, value: object, item: Any) -> None:
    if not isinstance(value, tuple):
        raise ValueError(f"{name} must be a list, got {show(value)}")  # noqa: TRY004 - a user's value
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{name} must have at most {LONGEST_TEXT} items, got {len(value)}")
    for each in value:
        _check(name, each, item)


def _kind(kind: type) -> str:
    return {bool: "true or false", dict: "a mapping"}.get(kind, f"of {kind.__name__}")
