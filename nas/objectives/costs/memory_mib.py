"""Peak of a network's activation memory."""

from __future__ import annotations

from nas.objectives.costs.cost import Cost, Measurable


def memory_mib(network: Measurable) -> float:
    """Return the peak of activation memory at batch 1 in MiB, as `search_space.cost` counts it."""
    return network.totals.memory_mib


COST = Cost(
    "memory_mib",
    "activation memory",
    memory_mib,
    unit="MiB",
    description="peak of activation memory at batch 1 in MiB",
    heading="memory (MiB)",
    integer=False,
    place=3,
)
