"""Pareto front and hypervolume of a set of points.

Every objective is an axis with two fixed ends. A value becomes a *loss* on its axis: 0 at the best end, 1 at the worst,
on a logarithmic scale if the axis is logarithmic. The logarithmic scale of an accuracy is that of its error: with the
error e as a share of that at the worst end, and s = `ERROR_SHIFT`,

    loss = log((e + s) / s) / log((1 + s) / s),

so halving the error counts alike at every accuracy, until the error is a few hundredths of the worst. Fronts and
hypervolumes are computed on losses, all minimised, so the hypervolume of a study lies in [0, 1] and does not depend on
units. The reference point is 1 on every axis.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import moocore
import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])
DIRECTIONS = ("maximize", "minimize")

ERROR_SHIFT = 0.02
"""Added to an error before its logarithm is taken, as a share of the error at the worst end of the axis."""


@dataclass(frozen=True)
class Axis:
    """One objective as an axis.

    Attributes:
        name: name of the objective.
        direction: `maximize` or `minimize`.
        log: whether the axis is logarithmic.
        best: value of loss 0; for costs the least that the space can cost.
        worst: value of loss 1, the reference point of the hypervolume; a point beyond it adds none.
        unit: its unit in reports, empty for none.
        error: whether the scale is the shifted logarithm of an error: of 1 - value where the objective is maximized, an
            accuracy, and of the value itself where it is minimized; excludes `log`.
    """

    name: str
    direction: str
    log: bool
    best: float
    worst: float
    unit: str = ""
    error: bool = False

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {DIRECTIONS}, got {self.direction!r} for {self.name}")
        if not (math.isfinite(self.best) and math.isfinite(self.worst) and self.best != self.worst):
            raise ValueError(f"an axis needs two finite ends, got {self.best} and {self.worst} for {self.name}")
        if self.log and min(self.best, self.worst) <= 0:
            raise ValueError(
                f"a logarithmic axis needs positive ends, got {self.best} and {self.worst} for {self.name}"
            )
        if self.error and (self.log or self._error_of(self.best) < 0 or self._error_of(self.worst) <= 0):
            raise ValueError(
                f"an error has a logarithmic scale from 0 on, and an accuracy one up to 1, "
                f"got {self.worst} to {self.best} for {self.name}"
            )
        if (self.best < self.worst) != (self.direction == "minimize"):
            raise ValueError(
                f"{self.direction} needs its ends in that order, got {self.best} to {self.worst} for {self.name}"
            )

    def scaled(self, value: float) -> float:
        """Return the value on the axis' scale: its logarithm to base 10 if the axis is logarithmic.

        The scale of an error e is log10(e + s), with the other sign for an accuracy.
        """
        if self.error:
            share = max(self._error_of(value) / self._error_of(self.worst), 0.0)
            log = math.log10(share + ERROR_SHIFT)
            return log if self.direction == "minimize" else -log
        return math.log10(max(value, sys.float_info.min)) if self.log else value

    def loss(self, value: float) -> float:
        """Return the loss of a value: 0 at the best end, 1 at the worst, above 1 beyond it.

        >>> Axis("macs", "minimize", True, 1e3, 1e6).loss(1e5)
        0.6666666666666666
        """
        return self.loss_of_scaled(self.scaled(value))

    def loss_of_scaled(self, scaled: float) -> float:
        """Return the loss of a value that is on the axis' scale already."""
        best, worst = self.scaled(self.best), self.scaled(self.worst)
        return (scaled - best) / (worst - best)

    def losses(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the losses (n,) of n values; see `loss`."""
        best, worst = self.scaled(self.best), self.scaled(self.worst)
        if self.error:
            shares = np.maximum(self._error_of(values) / self._error_of(self.worst), 0.0)
            scaled = np.log10(shares + ERROR_SHIFT) * (1.0 if self.direction == "minimize" else -1.0)
        else:
            scaled = np.log10(np.maximum(values, sys.float_info.min)) if self.log else values
        return np.asarray((scaled - best) / (worst - best), dtype=np.float64)

    def value(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values of given losses; the inverse of `loss`."""
        best, worst = self.scaled(self.best), self.scaled(self.worst)
        scaled = best + losses * (worst - best)
        if self.error:
            shares = np.power(10.0, scaled if self.direction == "minimize" else -scaled)
            errors = (shares - ERROR_SHIFT) * self._error_of(self.worst)
            return errors if self.direction == "minimize" else 1.0 - errors
        return np.power(10.0, scaled) if self.log else scaled

    def _error_of(self, value: Number) -> Number:
        return value if self.direction == "minimize" else 1.0 - value

    def to_json(self) -> dict[str, Any]:
        """Return the axis as a JSON object, without an empty unit and a false `error`, which older studies have not."""
        return {key: value for key, value in asdict(self).items() if key not in {"unit", "error"} or value}


def losses(axes: Sequence[Axis], values: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Return the losses (n, m) of n points on m axes."""
    columns = [axis.losses(np.array([value[axis.name] for value in values], dtype=np.float64)) for axis in axes]
    return np.column_stack(columns) if axes else np.empty((len(values), 0))


def front(points: NDArray[np.float64]) -> list[int]:
    """Return the indices of the non-dominated points, ordered by the first loss; of equal points the first one.

    Args:
        points: losses (n, m), minimised; a point with a NaN is on no front.
    """
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    if known.size == 0:
        return []
    keep = known[moocore.is_nondominated(points[known], keep_weakly=False)]
    return [int(index) for index in sorted(keep, key=lambda index: tuple(points[index]))]


def dominated(points: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask (n,) of points (n, m) that one of `by` (k, m) dominates: no worse on any axis, better on one."""
    as_good = (by[None] <= points[:, None]).all(axis=2)
    better = (by[None] < points[:, None]).any(axis=2)
    found: NDArray[np.bool_] = np.any(as_good & better, axis=1)
    return found


def hypervolume(points: NDArray[np.float64]) -> float:
    """Return the share of the unit box that the points dominate, in [0, 1].

    Args:
        points: losses (n, m), minimised; those with a NaN, or not below 1 on every axis, add nothing.
    """
    inside = points[(points < 1).all(axis=1)] if len(points) else points
    if len(inside) == 0:
        return 0.0
    return float(moocore.hypervolume(np.maximum(inside, 0.0), ref=np.ones(points.shape[1])))


def hypervolumes(points: NDArray[np.float64]) -> list[float]:
    """Return the hypervolume of the first point, of the first two, and so on.

    Args:
        points: losses (n, m), minimised.
    """
    best, found = points[:0], list[float]()
    for row in range(len(points)):
        new = points[row : row + 1]
        if (new < 1).all() and not (best <= new).all(axis=1).any():  # else it changes nothing
            best = np.vstack([best, new])
            best = best[front(best)]
            found.append(hypervolume(best))
        else:
            found.append(found[-1] if found else 0.0)
    return found
