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
        pool: random candidates that the acquisition function is evaluated on, at least 1.
        changes: mutated and crossed candidates beside them, at least 0.
        smooth: whether known networks enter the acquisition function with the surrogate's posterior median instead of
            the measured loss.
        focus: quantile of the posterior medians of random networks at which the reference point lies, in (0, 1];
            0.5 looks for networks that are better than the median one, 1 for any.

    Raises:
        ValueError: a value is out of range.
    """

    start: int = 8
    seconds_power: float = 0.5
    pool: int = 2000
    changes: int = 200
    smooth: bool = True
    focus: float = 0.5

    def __post_init__(self) -> None:
        check_positive("start", self.start)
        check_positive("pool", self.pool)
        if self.seconds_power < 0:
            raise ValueError(f"seconds_power must be at least 0, got {self.seconds_power}")
        if not 0 < self.focus <= 1:
            raise ValueError(f"focus must lie in (0, 1], got {self.focus}")
        if self.changes < 0:
            raise ValueError(f"changes must be at least 0, got {self.changes}")
