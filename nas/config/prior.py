"""Configuration of the prior over choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from nas.config.ranges import Range, check_fields, check_number, show

WEIGHTS = Range(1e-12, 1e12)


@dataclass(frozen=True)
class PriorSpec:
    """Belief about which options are good, held before the first training, and less and less with every one.

    Attributes:
        weight: β, at least 0: after n trainings the prior counts with the power β / n.
        choices: relative weights of options, positive, by a pattern of paths in which * stands for anything. An option
            that is left out has weight 1; a choice that no pattern matches is uniform; of several patterns the last
            one counts.

    Raises:
        ValueError: a weight out of range.
    """

    weight: Annotated[float, Range(0, 1e9)] = 10.0
    choices: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, "prior")
        for pattern, weights in self.choices.items():
            if not isinstance(weights, Mapping) or not weights:
                raise ValueError(f"prior.choices must have weights by option, got {show(weights)} at {show(pattern)}")
            for option, weight in weights.items():
                check_number(f"a weight of prior.choices at {show(pattern)}, {show(option)}", weight, WEIGHTS)
