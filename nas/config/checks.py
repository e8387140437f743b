"""Checks that several configurations share."""

from __future__ import annotations

from collections.abc import Mapping

from nas.config.ranges import HUGE, Range, check_number, show

LIMITS = Range(0, HUGE, above=True)

FORMATS = ("table", "json", "csv")
PICKS = ("best", "knee", "front")


def check_limits(limits: Mapping[str, object]) -> None:
    """Refuse a limit that is not named `max_<cost>` or not positive; None is no limit.

    Raises:
        ValueError: such a limit.
    """
    for name, limit in limits.items():
        if not isinstance(name, str) or not name.startswith("max_"):
            raise ValueError(f"a limit must be named max_<cost>, got limits.{str(name)[:60]}")
        if limit is not None:
            check_number(f"limits.{name}", limit, LIMITS)


def check_format(given: str) -> None:
    """Refuse an unknown output format.

    Raises:
        ValueError: `given` is not in `FORMATS`.
    """
    if given not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {show(given)}")


def check_pick(pick: str) -> None:
    """Refuse a pick that is neither in `PICKS` nor a trial's number in digits.

    Raises:
        ValueError: such a pick.
    """
    if pick not in PICKS and not (pick.isascii() and pick.isdigit()):
        raise ValueError(f"pick must be {', '.join(PICKS)} or a trial's number, got {show(pick)}")
