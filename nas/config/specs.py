"""What a search may spend, what a network may cost, and where the study is kept, as plain checked values."""

from __future__ import annotations

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
class Limits:
    """What a network may cost at most; one that costs more is never trained.

    Attributes:
        max_params: trained parameters; null for no limit.
        max_macs: multiply-accumulates for one image; null for no limit.
        max_memory_mib: peak of activation memory at batch 1 in MiB; null for no limit.

    Raises:
        ValueError: a limit is not positive.
    """

    max_params: int | None = None
    max_macs: int | None = None
    max_memory_mib: float | None = None

    def __post_init__(self) -> None:
        check_positive("limits.max_params", self.max_params)
        check_positive("limits.max_macs", self.max_macs)
        check_positive("limits.max_memory_mib", self.max_memory_mib)

    def exceeded(self, params: int, macs: int, memory_mib: float) -> dict[str, float]:
        """By how much each limit that is set is exceeded; at most 0 where it is met.

        >>> Limits(max_params=100, max_memory_mib=2.0).exceeded(130, 10**6, 1.5)
        {'max_params': 30, 'max_memory_mib': -0.5}
        """
        costs = {"params": params, "macs": macs, "memory_mib": memory_mib}
        return {f"max_{name}": costs[name] - limit for name, limit in self.by_cost().items()}

    def by_cost(self) -> dict[str, float]:
        """The limits that are set, by the cost that they are on."""
        limits = {"params": self.max_params, "macs": self.max_macs, "memory_mib": self.max_memory_mib}
        return {name: limit for name, limit in limits.items() if limit is not None}


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
