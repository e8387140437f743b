"""Trained parameters of a network."""

from __future__ import annotations

from nas.objectives.costs.cost import Cost, Measurable


def params(network: Measurable) -> int:
    """Return the number of trained parameters, as `search_space/cost.py` counts them."""
    return network.totals.params


COST = Cost("params", "parameters", params, description="trained parameters", heading="params", place=1)
