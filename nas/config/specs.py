"""Budget of a search, storage of its study, and checks that several configurations share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STORAGES = ("sqlite", "postgres")
FORMATS = ("table", "json", "csv")
PICKS = ("best", "knee", "front")


def check_positive(name: str, value: float | None) -> None:
    """Nothing for None and for a positive number.

    Raises:
        ValueError: `value` is not positive, or not a number.
    """
    if value is not None and not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def check_limits(limits: Mapping[str, object]) -> None:
    """Raise if a limit has no name of the form `max_<cost>`, or is not positive; None is no limit.

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
    """Nothing for a form in which a result can be printed.

    Raises:
        ValueError: anything else.
    """
    if given not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {given!r}")


def check_pick(pick: str) -> None:
    """Nothing for a word of `PICKS` or a trial's number in digits.

    Raises:
        ValueError: anything else.
    """
    if pick not in PICKS and not (pick.isascii() and pick.isdigit()):
        raise ValueError(f"pick must be {', '.join(PICKS)} or a trial's number, got {pick!r}")


@dataclass(frozen=True)
class Budget:
    """When a search ends: at the first of these totals, which a resumed search goes on to.

    Attributes:
        trials: trials that are complete or pruned; null for no such end.
        minutes: minutes of the clock, over all runs of the study; null for no such end.
        trainings: seconds of training, counted in full trainings; null for no such end.
        training_seconds: seconds that count as one full training; null for the mean of the trials trained in full.
        max_idle_asks: asks in a row that were all rejected or known already, after which the space counts as exhausted.
        min_gain: share of the objective space that an hour of training must still add to what the front covers, or
            nothing new is started; null for no such end.
        patience: complete trials over which that gain is measured, at least 1.

    Raises:
        ValueError: a total is not positive, or none is given.
    """

    trials: int | None = 100
    minutes: float | None = None
    trainings: float | None = None
    training_seconds: float | None = None
    max_idle_asks: int = 300
    min_gain: float | None = None
    patience: int = 20

    def __post_init__(self) -> None:
        check_positive("budget.min_gain", self.min_gain)
        check_positive("budget.patience", self.patience)
        check_positive("budget.trials", self.trials)
        check_positive("budget.minutes", self.minutes)
        check_positive("budget.trainings", self.trainings)
        check_positive("budget.training_seconds", self.training_seconds)
        check_positive("budget.max_idle_asks", self.max_idle_asks)
        if self.trials is None and self.minutes is None and self.trainings is None:
            raise ValueError("a budget must set at least one of trials, minutes and trainings, got none")


@dataclass(frozen=True)
class StorageSpec:
    """Where the study is kept.

    Attributes:
        kind: `sqlite`, a file in the study's folder, or `postgres`, the database whose URL the environment has as
            NAS_STORAGE_URL.

    Raises:
        ValueError: a kind that there is not.
    """

    kind: str = "sqlite"

    def __post_init__(self) -> None:
        if self.kind not in STORAGES:
            raise ValueError(f"storage.kind must be one of {', '.join(STORAGES)}, got {self.kind!r}")
