"""Values of the objectives of a trained network, from its learning curve and its costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from nas.config.objective import COST, Objective
from nas.jobs import Curve
from nas.objectives.costs import Costs, built_in_costs, load_cost
from search_space.plugins import PluginError, load_dotted

Value = Callable[[Curve, Mapping[str, float]], float]
"""A person's own objective: its value from the learning curve, at least one epoch long, and the costs by name.

The last epoch is validated; the scores of others are None where `training.validate_every` left them out.
"""


def objective_values(objectives: Sequence[Objective], curve: Curve, costs: Mapping[str, float]) -> dict[str, float]:
    """Return the objectives by name; values of the curve are the last epoch's, never the best epoch's.

    Args:
        objectives: the objectives.
        curve: the learning curve, at least one epoch long.
        costs: exact costs by name.

    Raises:
        ValueError: an objective asks for something that neither the curve nor the costs have.
    """
    last = curve[-1].to_json()
    values = {}
    for objective in objectives:
        if objective.is_own:
            values[objective.name] = float(own_value(objective)(curve, costs))
            continue
        source, key = (costs, cost_name(objective)) if objective.source == COST else (last, objective.key)
        if key not in source:
            raise ValueError(f"{objective.name} must be one of {sorted(source)} of the {objective.source}, got {key!r}")
        values[objective.name] = float(source[key])
    return values


def own_value(objective: Objective) -> Value:
    """Return the function of an objective of a person's own.

    Raises:
        PluginError: there is none at its dotted path.
    """
    key = f"objective.{objective.name}.source"
    found = load_dotted(objective.source, key)
    if not callable(found):
        raise PluginError(f"{key} must name a function value(curve, costs), {objective.source!r} is none")
    return cast(Value, found)


def cost_name(objective: Objective) -> str:
    """Return the name of the cost that an objective with source `cost` is.

    Raises:
        PluginError: there is no such cost.
    """
    return objective.key if objective.key in built_in_costs().names else load_cost(objective.key).name


def cost_names(objectives: Sequence[Objective]) -> dict[str, str]:
    """Return the cost that an objective is, by the objective's name, for those that are costs."""
    return {objective.name: cost_name(objective) for objective in objectives if objective.source == COST}


def costs_known(objectives: Sequence[Objective]) -> Costs:
    """Return our own costs and those that objectives name by a dotted path."""
    own = [load_cost(objective.key) for objective in objectives if objective.source == COST]
    return built_in_costs().joined(own)
