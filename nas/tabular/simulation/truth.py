"""Ground truth of a table: costs and mean test errors of its networks, and the hypervolume of a set of them.

Searches are scored in the plane of log10(MACs) and error, the mean over the table's seeds of 1 - test accuracy, by the
hypervolume of what they return as a share of that of the true front, in two boxes.

The *whole* box is that of a search (`nas/objectives/axes.py`): from the cheapest to the most expensive network of the
space within the limits, and from no error to that of guessing, on a logarithmic scale.

The reference point of the *near* box lies at the end of the true front, with a margin of a tenth of its extent
(Ishibuchi et al. 2018, "How to specify a reference point in hypervolume calculation"): at the MACs of the most accurate
network, and at the error of the cheapest network of the front that is better than the median, on a linear scale. It
tells searches apart by the accurate half of the front alone: a network that costs more than the most accurate one, or
has a larger error than the median one, adds no hypervolume beyond the margin.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from nas.objectives.axes import cost_range
from nas.objectives.costs import built_in_costs
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis, front, hypervolume, losses
from nas.tabular.simulation.benchmark import Benchmark
from search_space.space import Space

MARGIN = 0.1
WHOLE, NEAR = "whole", "near"


@final
@dataclass(frozen=True, eq=False)
class Truth:
    """Costs and mean test errors of the networks of a table that meet the limits.

    Attributes:
        points: MACs and error by identity.
        seconds: mean seconds of a full training by identity.
        full_training: mean seconds of a full training over the whole table, positive.
        axes: MACs and error, from the best values to the reference point of a box.
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
        return self._hypervolume([self.points[name] for name in self.front])

    def share(self, returned: Iterable[str], judged: Mapping[str, Mapping[str, float]] | None = None) -> float:
        """Return the hypervolume of the networks that a search returns, as a share of the true front's.

        Args:
            returned: identities; networks beyond the limits are ignored.
            judged: points of networks that `points` may lack; None for none.
        """
        points = {**(judged or {}), **self.points}
        return self._hypervolume([points[name] for name in returned if name in points]) / self.best

    def _hypervolume(self, points: Sequence[Mapping[str, float]]) -> float:
        return hypervolume(losses(self.axes, points))

    def reference(self) -> dict[str, float]:
        """Return the reference point: MACs and error."""
        return {axis.name: axis.worst for axis in self.axes}


def members(points: Mapping[str, Mapping[str, float]], axes: Sequence[Axis]) -> tuple[str, ...]:
    """Return the identities of the non-dominated points, in order of the first axis."""
    names = list(points)
    return tuple(names[index] for index in front(losses(axes, [points[name] for name in names])))


def truth_of(simulated: Benchmark, limits: Limits, box: str = WHOLE) -> Truth:
    """Return the ground truth of a benchmark.

    Args:
        simulated: the benchmark.
        limits: limits on the costs.
        box: `WHOLE` or `NEAR`, in which hypervolumes are measured.

    Raises:
        ValueError: no network meets the limits, or the front has no extent.
    """
    networks = simulated.true_networks(limits)
    if not networks:
        raise ValueError(f"limits must leave a network of the table {simulated.path}, got {limits}")
    points = {
        name: {MACS.name: float(network.costs[MACS.name]), "error": network.error} for name, network in networks.items()
    }
    seconds = {name: network.seconds for name, network in networks.items()}
    axes = axes_around(list(points.values())) if box == NEAR else axes_of_space(simulated.space, limits)
    return Truth(points, seconds, simulated.full_training(), axes)


def axes_of_space(space: Space, limits: Limits) -> tuple[Axis, Axis]:
    """Return the axes of the whole box of a space, MACs and error."""
    least, most = cost_range(MACS.name, space, built_in_costs(), limits.by_cost)
    chance = 1.0 - 1.0 / space.classes
    return (
        Axis(MACS.name, "minimize", True, least, most),
        Axis("error", "minimize", False, 0.0, chance, error=True),
    )


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
