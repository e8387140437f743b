"""Checks that several configurations share."""

from __future__ import annotations

from collections.abc import Mapping

FORMATS = ("table", "json", "csv")
PICKS = ("best", "knee", "front")


def check_positive(name: str, value: float | None) -> None:
    """Refuse a number that is not positive.

    Raises:
        ValueError: `value` is neither None nor positive.
    """
    if value is not None and not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def check_limits(limits: Mapping[str, object]) -> None:
    """Refuse a limit that is not named `max_<cost>` or not positive; None is no limit.

    Raises:
        ValueError: such a limit.
    """
    for name, limit in limits.items():
        if not name.startswith("max_"):
            raise ValueError(f"a limit must be named max_<cost>, got limits.{name}")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
            raise ValueError(f"limits.{name} must be a number, got {limit!r}")
        check_positive(f"limits.{name}", limit)


def check_format(given: str) -> None:
    """Refuse an unknown output format.

    Raises:
        ValueError: `given` is not in `FORMATS`.
    """
    if given not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {given!r}")


def check_pick(pick: str) -> None:
    """Refuse a pick that is neither in `PICKS` nor a trial's number in digits.

    Raises:
        ValueError: such a pick.
    """
    if pick not in PICKS and not (pick.isascii() and pick.isdigit()):
        raise ValueError(f"pick must be {', '.join(PICKS)} or a trial's number, got {pick!r}")
