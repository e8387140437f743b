"""Objectives as axes with fixed ends, which a study keeps: the one box of its hypervolume."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

from nas.config.objective import COST, Objective
from nas.objectives.costs import Costs
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.objectives.requirements import exact_measure
from nas.objectives.values import cost_name, costs_known, own_value
from search_space.architecture import Architecture
from search_space.space import Space

LOSS_ENDS = (0.0, 3.0)
"""Ends of a loss in nats; 3 is above the log of 20 classes, which guessing gives."""


def axes_of(objectives: tuple[Objective, ...], space: Space, limits: Limits | None = None) -> tuple[Axis, ...]:
    """Return the objectives as axes with fixed ends: the box of the whole space.

    Accuracies go from 1 to chance, 1 / classes; losses from 0 to 3; a maximised loss or a minimised accuracy the other
    way round. Costs go from the cheapest to the most expensive architecture that the limits leave, so that the
    hypervolume is a share of what there is to gain. `best` and `worst` of an objective take precedence.

    Args:
        objectives: the objectives, in order.
        space: the space that is searched.
        limits: limits on the costs; None for none.

    Raises:
        ValueError: an objective whose source can't be found, or whose ends do not fit its direction or scale.
    """
    return _axes_of(objectives, space, tuple(sorted((limits or Limits()).by_cost.items())))


@cache
def _axes_of(
    objectives: tuple[Objective, ...], space: Space, limits: tuple[tuple[str, float], ...]
) -> tuple[Axis, ...]:
    costs = costs_known(objectives, space, dict(limits))
    return tuple(_axis(objective, space, costs, dict(limits)) for objective in objectives)


def _axis(objective: Objective, space: Space, costs: Costs, limits: Mapping[str, float]) -> Axis:
    best, worst = _ends(objective, space, costs, limits)
    best = best if objective.best is None else objective.best
    worst = worst if objective.worst is None else objective.worst
    log, accuracy = objective.scale == "log", objective.is_accuracy
    return Axis(
        objective.name, objective.direction, log and not accuracy, best, worst, objective.unit, log and accuracy
    )


def _ends(objective: Objective, space: Space, costs: Costs, limits: Mapping[str, float]) -> tuple[float, float]:
    """Return the best and the worst value of an objective, by default."""
    if objective.is_own:
        own_value(objective)  # one that can't be found is refused now, not after the first training
        assert objective.best is not None
        assert objective.worst is not None
        return objective.best, objective.worst
    if objective.source == COST:
        return cost_range(cost_name(objective), space, costs, limits)
    least, most = (1.0 / space.classes, 1.0) if objective.is_accuracy else LOSS_ENDS
    return (most, least) if objective.direction == "maximize" else (least, most)


def cost_range(name: str, space: Space, costs: Costs, limits: Mapping[str, float]) -> tuple[float, float]:
    """Return the least and the most that an architecture of a space costs within limits, by coordinate descent.

    Args:
        name: the cost.
        space: the space.
        costs: the costs that the search knows.
        limits: largest value allowed, by cost.
    """
    measure = exact_measure(costs)

    def found(sign: float) -> float:
        def penalised(architecture: Architecture) -> float:
            known = measure(architecture)[1]
            excess = math.fsum(max(0.0, known[limited] / limit - 1.0) for limited, limit in limits.items())
            return 1e30 * excess if excess else sign * known[name]

        return float(measure(space.minimise(penalised, combined=True))[1][name])

    least, most = found(1.0), found(-1.0)
    return least, max(min(most, limits.get(name, math.inf)), least * 1.001)
