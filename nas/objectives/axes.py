"""Objectives as axes with fixed ends, which a study keeps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from nas.config.objective import COST, Objective
from nas.objectives.costs import Costs
from nas.objectives.pareto import Axis
from nas.objectives.values import cost_name, costs_known, own_value
from search_space.choices import RandomChooser
from search_space.space import Space

SAMPLES = 512
LOSS_ENDS = (0.0, 3.0)
"""Ends of a loss in nats; 3 is above the log of 20 classes, which guessing gives."""


@cache
def axes_of(objectives: tuple[Objective, ...], space: Space) -> tuple[Axis, ...]:
    """Return the objectives as axes with fixed ends.

    Accuracies go from 1 to chance, 1 / classes; losses from 0 to 3; a maximised loss or a minimised accuracy the other
    way round. Costs go from the least that the space can cost to the largest of a seeded sample of it, so that the
    hypervolume is a share of what there is to gain. `best` and `worst` of an objective take precedence.

    Args:
        objectives: the objectives, in order.
        space: the space that is searched.

    Raises:
        ValueError: an objective whose source can't be found, or whose ends do not fit its direction.
    """
    costs = costs_known(objectives)
    chooser = RandomChooser(random.Random(0))
    sample = [costs.of_architecture(space.sample(chooser)) for _ in range(SAMPLES)]
    return tuple(_axis(objective, space, costs, sample) for objective in objectives)


def _axis(objective: Objective, space: Space, costs: Costs, sample: Sequence[dict[str, float]]) -> Axis:
    best, worst = _ends(objective, space, costs, sample)
    best = best if objective.best is None else objective.best
    worst = worst if objective.worst is None else objective.worst
    return Axis(objective.name, objective.direction, objective.log, best, worst, objective.unit)


def _ends(objective: Objective, space: Space, costs: Costs, sample: Sequence[dict[str, float]]) -> tuple[float, float]:
    """Return the best and the worst value of an objective, by default."""
    if objective.is_own:
        own_value(objective)  # one that can't be found is refused now, not after the first training
        assert objective.best is not None
        assert objective.worst is not None
        return objective.best, objective.worst
    if objective.source == COST:
        name = cost_name(objective)
        cheapest = space.minimise(lambda architecture: costs.of_architecture(architecture)[name])
        least, most = costs.of_architecture(cheapest)[name], max(known[name] for known in sample)
        return least, max(most, least * 1.001)
    least, most = (1.0 / space.classes, 1.0) if "accuracy" in objective.key else LOSS_ENDS
    return (most, least) if objective.direction == "maximize" else (least, most)
