"""Multiply–accumulates of a network for one image."""

from __future__ import annotations

from nas.objectives.costs.cost import Cost, Measurable


def macs(network: Measurable) -> int:
    """Return the multiply–accumulates for one image, as `search_space/cost.py` counts them; FLOPs are twice that."""
    return network.totals.macs


COST = Cost("macs", "MACs", macs, description="multiply-accumulates for one image", place=2)
