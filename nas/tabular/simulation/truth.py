"""Ground truth of a table: costs and mean test errors of its networks, and the hypervolume of a set of them.

Searches are scored in the plane of log10(MACs) and error, the mean over the table's seeds of 1 - test accuracy, by the
hypervolume of what they return as a share of that of the true front. The reference point decides how well the share
tells searches apart. With a distant one, almost all of the hypervolume is a rectangle that any few networks cover, and
the shares of all methods lie close below 1. Here it lies at the end of the true front, with a margin of a tenth of its
extent (Ishibuchi et al. 2018, "How to specify a reference point in hypervolume calculation"): at the MACs of the most
accurate network, and at the error of the cheapest network of the front that is better than the median. A network that
costs more than the most accurate one, or has a larger error than the median one, adds no hypervolume beyond the margin.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis, front, hypervolume, losses
from nas.tabular.simulation.simulated_table import SimulatedTable
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
        axes: MACs and error, from the best values of the true front to the reference point.
    """

    points: Mapping[str, Mapping[str, float]]
    seconds: Mapping[str, float]
    full_training: float
    axes: tuple[Axis, Axis]

    @cached_property
    def front(self) -> tuple[str, ...]:
        """Non-dominated networks, cheapest first, those beyond the reference point included."""
        return members(self.points, self.axes)

    @cached_property
    def best(self) -> float:
        """Hypervolume of the true front in the unit box of the axes."""
        return self._hypervolume(self.front)

    def share(self, returned: Iterable[str]) -> float:
        """Return the hypervolume of the networks that a search returns, as a share of the true front's.

        Args:
            returned: identities; networks beyond the limits are ignored.
        """
        return self._hypervolume([name for name in returned if name in self.points]) / self.best

    def _hypervolume(self, names: Sequence[str]) -> float:
        return hypervolume(losses(self.axes, [self.points[name] for name in names]))

    def reference(self) -> dict[str, float]:
        """Return the reference point: MACs and error."""
        return {axis.name: axis.worst for axis in self.axes}


def members(points: Mapping[str, Mapping[str, float]], axes: Sequence[Axis]) -> tuple[str, ...]:
    """Return the identities of the non-dominated points, in order of the first axis."""
    names = list(points)
    return tuple(names[index] for index in front(losses(axes, [points[name] for name in names])))


def truth_of(simulated: SimulatedTable, limits: Limits) -> Truth:
    """Return the ground truth of a table.

    Raises:
        ValueError: no network meets the limits, or the front has no extent.
    """
    limits.checked(next(iter(simulated.table.entries.values())).costs)
    entries = {name: entry for name, entry in simulated.table.entries.items() if _meets(entry, limits)}
    if not entries:
        raise ValueError(f"limits must leave a network of the table {simulated.table.path}, got {limits}")
    points = {
        name: {MACS.name: float(entry.costs[MACS.name]), "error": 1.0 - entry.test_accuracy}
        for name, entry in entries.items()
    }
    seconds = {name: simulated.training_seconds(entry) for name, entry in entries.items()}
    return Truth(points, seconds, simulated.full_training(), axes_around(list(points.values())))


def axes_around(points: Sequence[Mapping[str, float]]) -> tuple[Axis, Axis]:
    """Return the axes from the best values of the points' front to a reference point close to it.

    Args:
        points: `macs` and `error` of each network.

    Raises:
        ValueError: one network is both cheapest and most accurate, so that the front has no extent.
    """
    macs, error = [point[MACS.name] for point in points], [point["error"] for point in points]
    loose = Axis(MACS.name, "minimize", True, min(macs), max(macs) * 2), Axis("error", "minimize", False, -1.0, 2.0)
    best = [points[index] for index in front(losses(loose, points))]
    median = statistics.median(error)
    within = [point for point in best if point["error"] <= median]
    cheapest, accurate = within[0], within[-1]
    if cheapest is accurate:
        raise ValueError(
            f"a table must have a front to search for, one network alone of {len(points)} is cheapest and most "
            f"accurate: {accurate[MACS.name]:,.0f} MACs, error {accurate['error']:.4f}"
        )
    decades = math.log10(accurate[MACS.name] / cheapest[MACS.name])
    height = cheapest["error"] - accurate["error"]
    return (
        Axis(MACS.name, "minimize", True, best[0][MACS.name], accurate[MACS.name] * 10 ** (MARGIN * decades)),
        Axis("error", "minimize", False, accurate["error"], cheapest["error"] + MARGIN * height),
    )


def _meets(entry: Entry, limits: Limits) -> bool:
    return limits.meets(entry.costs)
