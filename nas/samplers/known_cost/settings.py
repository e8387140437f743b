"""Settings of the known-cost sampler."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.checks import check_positive


@dataclass(frozen=True)
class Settings:
    """Settings of the known-cost sampler; conf/sampler/known_cost.yaml shows them with the same defaults.

    Attributes:
        start: trials of the space-filling start, before the surrogate decides; at least 1.
        seconds_power: exponent of the predicted training seconds that the improvement is divided by, at least 0;
            0 ignores time, 1 is improvement per second.
        pool: random candidates that the acquisition function is evaluated on at most, at least 1.
        changes: mutated and crossed candidates beside them, at least 0.

    Raises:
        ValueError: a value is out of range.
    """

    start: int = 4
    seconds_power: float = 0.5
    pool: int = 1000
    changes: int = 100

    def __post_init__(self) -> None:
        check_positive("start", self.start)
        check_positive("pool", self.pool)
        if self.seconds_power < 0:
            raise ValueError(f"seconds_power must be at least 0, got {self.seconds_power}")
        if self.changes < 0:
            raise ValueError(f"changes must be at least 0, got {self.changes}")
