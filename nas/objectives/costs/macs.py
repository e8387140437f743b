"""Multiply–accumulates of a network for one image."""

from __future__ import annotations

from nas.objectives.costs.cost import Cost, Measurable


def macs(network: Measurable) -> int:
    """Return the multiply–accumulates of convolutions and linear layers for one image; FLOPs would be twice that."""
    return network.totals.macs


COST = Cost("macs", "MACs", macs, description="multiply-accumulates for one image", place=2)
