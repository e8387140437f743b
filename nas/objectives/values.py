"""Values of the objectives of a trained network, from its learning curve and its costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from nas.config.objective import COST, Objective
from nas.jobs import Curve
from nas.objectives.costs import Cost, Costs, all_costs, built_in_costs, load_cost
from search_space.plugins import PluginError, load_dotted
from search_space.space import Space

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


def costs_known(objectives: Sequence[Objective], space: Space, limited: Iterable[str] = ()) -> Costs:
    """Return our own costs, and those that objectives or limits ask for, prepared for a space.

    Args:
        objectives: the objectives; the options of a cost are those of its objective.
        space: the space.
        limited: names of costs that are limited; those of ours that no objective is have their default options.

    Raises:
        ValueError: there is no such cost, it takes no such option, or it can't be prepared.
    """
    wanted = {objective.key: objective.options for objective in objectives if objective.source == COST}
    named = {load_cost(key).name for key in wanted}
    wanted |= {name: {} for name in limited if name in all_costs().names and name not in named}
    return built_in_costs().joined([_prepared(load_cost(key), options, space) for key, options in wanted.items()])


def _prepared(cost: Cost, options: Mapping[str, Any], space: Space) -> Cost:
    if cost.prepare is not None:
        return cost.prepare(options, space)
    if options:
        raise PluginError(f"objective.{cost.name}.options must be empty, {cost.name} takes none, got {sorted(options)}")
    return cost
