"""Configuration of one objective."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas.config.ranges import SHOWN, Finite, check_fields, show

CURVE, COST = "curve", "cost"
CURVE_KEYS = ("train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy")
DIRECTIONS = ("maximize", "minimize")
SCALES = ("linear", "log")


@dataclass(frozen=True)
class Objective:
    """One axis of the front.

    Attributes:
        name: name of its values in documents, tables and plots.
        source: `curve`, the last epoch of the learning curve; `cost`, known before training; or the dotted path of a
            function of your own, value(curve, costs).
        key: value of the source: train_loss, val_loss, val_accuracy or val_balanced_accuracy of the curve; the name of
            a cost, or the dotted path of a nas.objectives.costs.Cost of your own; not read with a function of your own.
        direction: maximize or minimize.
        scale: `linear` or `log`: scale of the axis in the hypervolume and in all that samplers and predictions see. An
            accuracy's logarithmic scale is that of its error, so that halving the error counts alike everywhere.
        unit: its unit in reports; empty for a share, a count, or the cost's own unit.
        best: end of the axis at loss 0; null for the best value that there can be, or the least that the space costs.
        worst: end of the axis at loss 1, the reference point of the hypervolume; null for chance, or for the most that
            the space costs within the limits. An accuracy is a floor: networks below it count for nothing. Both are
            needed with a function of your own.
        options: options of a cost that takes some, such as latency_ms; by name.

    Raises:
        ValueError: a value out of range, or a function of your own without its ends.
    """

    name: str
    source: str
    key: str
    direction: str
    scale: str = "linear"
    unit: str = ""
    best: Finite | None = None
    worst: Finite | None = None
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_fields(self, "objective")
        path = f"objective.{self.name[:SHOWN]}"
        if not self.name:
            raise ValueError("an objective must have a name, got an empty one")
        if self.source not in {CURVE, COST} and not self.is_own:
            raise ValueError(f"{path}.source must be {CURVE}, {COST} or a dotted path, got {show(self.source)}")
        if self.source == CURVE and self.key not in CURVE_KEYS:
            raise ValueError(
                f"{path}.key must be one of {', '.join(CURVE_KEYS)} for source {self.source}, got {show(self.key)}"
            )
        if self.direction not in DIRECTIONS:
            raise ValueError(f"{path}.direction must be one of {', '.join(DIRECTIONS)}, got {show(self.direction)}")
        if self.scale not in SCALES:
            raise ValueError(f"{path}.scale must be one of {', '.join(SCALES)}, got {show(self.scale)}")
        if self.source == COST and self.direction != "minimize":
            raise ValueError(f"{path}.direction must be minimize for a cost, got {self.direction!r}")
        self._check_ends(path)

    def _check_ends(self, path: str) -> None:
        for end in ("best", "worst"):
            given = getattr(self, end)
            if given is None and self.is_own:
                raise ValueError(f"{path}.{end} must be given for source {self.source}, got null")
            if given is not None and self.is_accuracy and not 0 <= given <= 1:
                raise ValueError(f"{path}.{end} must lie in [0, 1], got {given}")
            if given is not None and not self.is_own and given < 0:
                raise ValueError(f"{path}.{end} must be at least 0, got {given}")
        if self.best is not None and self.worst is not None and not self._is_better(self.best, self.worst):
            raise ValueError(f"{path}.best must be better than {path}.worst, got {self.best:g} and {self.worst:g}")

    def _is_better(self, value: float, other: float) -> bool:
        return value > other if self.direction == "maximize" else value < other

    @property
    def is_accuracy(self) -> bool:
        """True if its values are shares of right answers, in [0, 1]."""
        return self.source == CURVE and "accuracy" in self.key

    @property
    def is_own(self) -> bool:
        """True if a function of the person's own gives its values."""
        return "." in self.source and all(part.isidentifier() for part in self.source.split("."))
