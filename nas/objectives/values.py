"""The objectives of a trained network, from its learning curve and its costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.config.objective import Objective
from nas.jobs import Curve


def objective_values(objectives: Sequence[Objective], curve: Curve, costs: Mapping[str, float]) -> dict[str, float]:
    """Objectives by name; what comes from the curve is its last epoch's, never the best epoch's.

    Args:
        objectives: what to take.
        curve: the learning curve, at least one epoch long.
        costs: `params`, `macs`, `memory_mib`.

    Raises:
        ValueError: an objective asks for something that neither the curve nor the costs have.
    """
    sources = {"curve": curve[-1].to_json(), "cost": dict(costs)}
    values = {}
    for objective in objectives:
        source = sources[objective.source]
        if objective.key not in source:
            raise ValueError(
                f"{objective.name} must be one of {sorted(source)} of the {objective.source}, got {objective.key!r}"
            )
        values[objective.name] = float(source[objective.key])
    return values
