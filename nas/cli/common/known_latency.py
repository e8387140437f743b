"""Known latencies of a network: as measured before, or predicted by the models that were fitted on this device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.objectives.latency.files import fitted_for
from nas.study.latencies import measured_latencies
from search_space.graph import Graph
from search_space.identity import network_id


def known_latencies(graph: Graph, study: Path | None) -> list[dict[str, Any]]:
    """Return the latencies of a network, measured ones first.

    Args:
        graph: the network.
        study: folder of its study; None for a network of none.

    Returns:
        `device`, `circumstances` and `milliseconds` of each; a measured one has `interval` and `steady`, a predicted
        one `error`, the 90th percentile of the model's errors as a share, and `outside`, whether the network is outside
        the range of the fit.
    """
    measured = [] if study is None else measured_latencies(study)
    identity = network_id(graph)
    found: list[dict[str, Any]] = []
    for each in measured:
        latency = each.networks.get(identity)
        if latency is not None:
            interval = {"interval": [latency.low_ms, latency.high_ms], "steady": latency.steady}
            found.append(_entry(each.device, each.circumstances, latency.median_ms) | interval)
    for model in fitted_for(graph.input):
        predicted = model.predict(graph)
        known = {"error": model.stated_error, "outside": predicted.outside}
        found.append(_entry(model.device, model.circumstances, predicted.milliseconds) | known)
    return found


def _entry(device: Mapping[str, str], circumstances: Mapping[str, Any], milliseconds: float) -> dict[str, Any]:
    return {"device": dict(device), "circumstances": dict(circumstances), "milliseconds": milliseconds}
