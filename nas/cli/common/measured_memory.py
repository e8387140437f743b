"""Memory of named networks, as `nas measure memory=true` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.cli.common.printing import Row
from nas.config.commands import MeasureConfig
from nas.exports.libraries import optional
from nas.jobs.notice import showing
from search_space.graph import Graph

MODULE = "nas.exports.profiling.memory"
"""Module that measures memory; it takes seconds to load."""


def memory_document(config: MeasureConfig, graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """Return the peaks of memory of networks, beside what is known of them before.

    Raises:
        ValueError: another runtime or precision than torch's in float32, or as `measure_memory` raises.
    """
    if (config.runtime, config.precision) != ("torch", "float32"):
        raise ValueError(
            f"memory is measured with runtime=torch in float32, got {config.runtime} in {config.precision}"
        )
    with showing("nas measure: loading torch"):
        measuring = optional(MODULE)
    plan = measuring.MemoryPlan(config.training, config.batch, config.threads, config.device)
    with showing("nas measure: an inference and two training steps of each network"):
        networks = measuring.measure_memory(graphs, plan)
    return {"device": config.device, "threads": config.threads, "networks": networks}


def memory_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a network."""
    inference = ["batch", "allocated_mib", "resident_mib", "bound_mib", "ideal_mib"]
    training = ["batch_size", "allocated_mib", "resident_mib", "estimate_mib", "bound_mib"]
    header = ["network", "weights_mib", *(f"inference.{n}" for n in inference), *(f"training.{n}" for n in training)]
    rows: list[Row] = [header]
    for found in document["networks"]:
        values = [*(found["inference"][name] for name in inference), *(found["training"][name] for name in training)]
        rows.append([found["network"], found["weights_mib"], *("" if value is None else value for value in values)])
    return rows
