"""Settings of the known-cost sampler."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.ranges import Range, check_number


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
        check_number("sampler.options.start", self.start, Range(1, 1_000_000), whole=True)
        check_number("sampler.options.pool", self.pool, Range(1, 1_000_000), whole=True)
        check_number("sampler.options.seconds_power", self.seconds_power, Range(0, 100))
        check_number("sampler.options.changes", self.changes, Range(0, 1_000_000), whole=True)
