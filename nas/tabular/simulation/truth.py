"""What a table knows of every network, and how good a set of networks is by it.

Searches are scored in the plane of log10(MACs) and error, the mean over the table's seeds of 1 - test accuracy, by the
hypervolume of what they return as a share of that of the true front. How well that tells searches apart hangs on the
reference point. In a loose box almost all of the hypervolume is a rectangle that any handful of networks covers: the
shares of all methods crowd below 1. Here the box ends at the true front itself, with a margin of a tenth of its extent
(Ishibuchi et al. 2018, "How to specify a reference point in hypervolume calculation"): at the MACs of the most accurate
network, and at the error of the cheapest network of the front that is better than half of all. What costs more than
the most accurate network, or errs more than the median one, is worth nothing, at whatever price.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from nas.config.specs import Limits
from nas.objectives.pareto import Axis, front, hypervolume, losses
from nas.tabular.simulation.simulate import Stage
from nas.tabular.table import Entry

MARGIN = 0.1


@final
@dataclass(frozen=True, eq=False)
class Truth:
    """Costs and mean test errors of the networks of a table that meet the limits.

    Attributes:
        points: MACs and error by identity.
        seconds: mean seconds of a full training by identity.
        full_training: mean seconds of a full training over the whole table, positive.
        axes: MACs and error, from the best of the true front to the reference point.
    """

    points: Mapping[str, Mapping[str, float]]
    seconds: Mapping[str, float]
    full_training: float
    axes: tuple[Axis, Axis]

    @cached_property
    def front(self) -> tuple[str, ...]:
        """The networks that no other dominates, cheapest first; those beyond the reference point too."""
        return members(self.points, self.axes)

    @cached_property
    def best(self) -> float:
        """Hypervolume of the true front in the unit box of the axes."""
        return self._covered(self.front)

    def share(self, returned: Iterable[str]) -> float:
        """Hypervolume of what a search returns, by the truth about it, as a share of the true front's.

        Args:
            returned: identities; a network beyond the limits counts for nothing.
        """
        return self._covered([name for name in returned if name in self.points]) / self.best

    def _covered(self, names: Sequence[str]) -> float:
        return hypervolume(losses(self.axes, [self.points[name] for name in names]))

    def reference(self) -> dict[str, float]:
        """The reference point."""
        return {axis.name: axis.worst for axis in self.axes}


def members(points: Mapping[str, Mapping[str, float]], axes: Sequence[Axis]) -> tuple[str, ...]:
    """Identities of the points on the front, in order of the first axis."""
    names = list(points)
    return tuple(names[index] for index in front(losses(axes, [points[name] for name in names])))


def truth_of(stage: Stage, limits: Limits) -> Truth:
    """What the table of a stage knows.

    Raises:
        ValueError: no network meets the limits, or the front has no extent that a search could be scored by.
    """
    entries = {name: entry for name, entry in stage.table.entries.items() if _meets(entry, limits)}
    if not entries:
        raise ValueError(f"limits must leave a network of the table {stage.table.path}, got {limits}")
    points = {
        name: {"macs": float(entry.costs["macs"]), "error": 1.0 - entry.test_accuracy}
        for name, entry in entries.items()
    }
    seconds = {name: stage.training_seconds(entry) for name, entry in entries.items()}
    return Truth(points, seconds, stage.full_training(), axes_around(list(points.values())))


def axes_around(points: Sequence[Mapping[str, float]]) -> tuple[Axis, Axis]:
    """The axes from the best values of the points' front to the reference point near it.

    Args:
        points: `macs` and `error` of each network.

    Raises:
        ValueError: the front has no extent.
    """
    macs, error = [point["macs"] for point in points], [point["error"] for point in points]
    loose = Axis("macs", "minimize", True, min(macs), max(macs) * 2), Axis("error", "minimize", False, -1.0, 2.0)
    best = [points[index] for index in front(losses(loose, points))]
    median = statistics.median(error)
    within = [point for point in best if point["error"] <= median]
    cheapest, accurate = within[0], within[-1]
    if cheapest is accurate:
        raise ValueError(
            f"a table must have a front to search for, one network alone of {len(points)} is cheapest and most "
            f"accurate: {accurate['macs']:,.0f} MACs, error {accurate['error']:.4f}"
        )
    decades = math.log10(accurate["macs"] / cheapest["macs"])
    height = cheapest["error"] - accurate["error"]
    return (
        Axis("macs", "minimize", True, best[0]["macs"], accurate["macs"] * 10 ** (MARGIN * decades)),
        Axis("error", "minimize", False, accurate["error"], cheapest["error"] + MARGIN * height),
    )


def _meets(entry: Entry, limits: Limits) -> bool:
    costs: Any = entry.costs
    excess = limits.exceeded(costs["params"], costs["macs"], costs["memory_mib"])
    return all(by <= 0 for by in excess.values())
