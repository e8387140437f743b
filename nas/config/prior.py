"""Configuration of the prior over choices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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

    weight: float = 10.0
    choices: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"prior.weight must be at least 0, got {self.weight}")
        for pattern, weights in self.choices.items():
            if not isinstance(weights, Mapping) or not weights:
                raise ValueError(f"prior.choices must have weights by option, got {weights!r} at {pattern}")
            for option, weight in weights.items():
                _check_weight(weight, f"{pattern}, {option}")


def _check_weight(weight: object, place: str) -> None:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not (number and 0 < weight < math.inf):  # type: ignore[operator]  # a number by now
        raise ValueError(f"a weight of prior.choices must be positive and finite, got {weight!r} at {place}")
