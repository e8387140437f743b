"""Cost: the number of blocks, stem included."""

from nas.objectives.costs import Cost, Measurable


def measure(network: Measurable) -> float:
    """Return a positive number; no training is needed for it."""
    return float(1 + sum(len(stage.blocks) for stage in network.architecture.stages))


COST = Cost("depth", "depth", measure, unit="blocks")
