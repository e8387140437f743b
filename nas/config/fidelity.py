"""How far trials are trained, as plain checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FidelitySpec:
    """How far a trial is trained before the next decision about it.

    Attributes:
        name: `full`, every trial to the recipe's last epoch, another module of nas/fidelity, or the dotted path of
            a policy of your own.
        options: settings of that policy.
        repeats: how often a network of the front is trained again, from scratch with another seed, before it is
            believed; it counts with the mean over its trainings. 0 believes the first one.

    Raises:
        ValueError: a name that can't be a module's or a dotted path, or repeats that are no whole number from 0 on.
    """

    name: str = "full"
    options: dict[str, Any] = field(default_factory=dict)
    repeats: int = 0

    def __post_init__(self) -> None:
        if not all(part.isidentifier() for part in self.name.split(".")):
            raise ValueError(f"fidelity.name must be the name of a module, or a dotted path, got {self.name!r}")
        if isinstance(self.repeats, bool) or not isinstance(self.repeats, int) or self.repeats < 0:
            raise ValueError(f"fidelity.repeats must be a whole number of at least 0, got {self.repeats!r}")
