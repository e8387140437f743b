"""Measured latencies on a study's page: a measure for each device and circumstances, and its value for a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.reports.document.trials import number
from nas.study.latencies import MeasuredOn


def latency_measures(measured: Sequence[MeasuredOn]) -> dict[str, Any]:
    """Return the measures that an axis of the page can show, by name."""
    return {
        _name(each): {"title": f"measured latency (ms), {each.title}", "log": True, "share": False, "measured": True}
        for each in measured
    }


def measured_values(measured: Sequence[MeasuredOn], network_id: str) -> dict[str, float | None]:
    """Return the median latencies of a network in milliseconds, by the name of the measure."""
    known = [(each, each.networks.get(network_id)) for each in measured]
    return {_name(each): number(latency.median_ms) for each, latency in known if latency is not None}


def _name(measured: MeasuredOn) -> str:
    return f"measured_{measured.key}"
