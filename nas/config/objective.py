"""What a Pareto front is made of."""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = ("curve", "cost")
DIRECTIONS = ("maximize", "minimize")
KEYS = {
    "curve": ("train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy"),
    "cost": ("params", "macs", "memory_mib"),
}


@dataclass(frozen=True)
class Objective:
    """One axis of the front.

    Attributes:
        name: names the values of this axis wherever they are written.
        source: `curve`, the last epoch of the learning curve, or `cost`, known before training.
        key: which value of the source.
        direction: `maximize` or `minimize`.
        log: whether pictures show it on a logarithmic axis.
        unit: its unit, empty for a share or a count.

    Raises:
        ValueError: a word that there is not.
    """

    name: str
    source: str
    key: str
    direction: str
    log: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        path = f"objective.{self.name}"
        if not self.name:
            raise ValueError("an objective must have a name, got an empty one")
        if self.source not in SOURCES:
            raise ValueError(f"{path}.source must be one of {', '.join(SOURCES)}, got {self.source!r}")
        if self.key not in KEYS[self.source]:
            raise ValueError(
                f"{path}.key must be one of {', '.join(KEYS[self.source])} for source {self.source}, got {self.key!r}"
            )
        if self.direction not in DIRECTIONS:
            raise ValueError(f"{path}.direction must be one of {', '.join(DIRECTIONS)}, got {self.direction!r}")
        if self.source == "cost" and self.direction != "minimize":
            raise ValueError(f"{path}.direction must be minimize for a cost, got {self.direction!r}")
