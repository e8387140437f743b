"""Latency of each operator of a network by itself, in the same turns as the network."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nas.exports.profiling.latency import measure_networks
from nas.objectives.latency.files import LatencyOptions
from nas.objectives.latency.operators import graph_of, key_of, operators_of
from search_space.graph import Graph

WHOLE = "network"


def measure_operators(
    name: str, graph: Graph, options: LatencyOptions, seconds: float, seed: int = 0
) -> dict[str, Any]:
    """Return the latencies of a network and of its operators as a document.

    Args:
        name: name of the network.
        graph: the network.
        options: runtime, batch, threads, precision and device.
        seconds: longest time of the turns, positive.
        seed: seed of the order of turns.

    Returns:
        `network`, its `median_ms`, and `operators`, the slowest first: each an `operator` with its input, its `kind`,
        its `count` in the network, `median_ms` of one with the interval `low_ms` to `high_ms`, and `total_ms` of all;
        then what `measure_networks` returns beside its networks. Joins can't run by themselves and are left out, and a
        runtime may fuse operators, so that the totals need not add up to the network's latency.

    Raises:
        ValueError: as `measure_networks` raises.
    """
    counts = Counter(operators_of(graph))
    alone = {key_of(operator): (operator, graph_of(operator)) for operator in counts}
    graphs = {key: found for key, (_, found) in alone.items() if found is not None}
    measured = measure_networks({WHOLE: graph, **graphs}, options, seconds, seed)
    whole, *others = measured.pop("networks")
    operators = []
    for found in others:
        operator = alone[found["network"]][0]
        count = counts[operator]
        times = {key: found[key] for key in ("median_ms", "low_ms", "high_ms")}
        total = {"count": count, **times, "total_ms": count * found["median_ms"]}
        operators.append({"operator": found["network"], "kind": operator.kind, **total})
    operators.sort(key=lambda row: -row["total_ms"])
    return {"network": name, "median_ms": whole["median_ms"], "operators": operators, **measured}
