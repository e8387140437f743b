"""Latency of named networks in one interleaved run, and the fit of a model for a space."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nas.exports.profiling.fitting import Progress, Setting, fitted, measure
from nas.exports.profiling.runtimes import COMPILING, prepare
from nas.exports.profiling.timing import REFERENCE, TimingPlan, latency_document, time_interleaved
from nas.exports.profiling.workload import FitPlan, workload_of
from nas.objectives.latency.files import LatencyOptions, space_identity
from nas.objectives.latency.machine import this_machine
from nas.objectives.latency.model import LatencyModel
from search_space.graph import Graph
from search_space.space import Space


def measure_networks(
    graphs: Mapping[str, Graph], options: LatencyOptions, seconds: float, seed: int = 0
) -> dict[str, Any]:
    """Return the latencies of networks as a document.

    Args:
        graphs: the networks by name, at least one.
        options: runtime, batch, threads, precision and device.
        seconds: longest time of the turns, positive.
        seed: seed of the order of turns.

    Returns:
        `networks`, each with its `network`, `median_ms`, the 95 % interval `low_ms` to `high_ms`, `repeats`, and its
        `ratio` to the first network's latency; `slowdown` of the reference workload, `steady`, and `versions`.

    Raises:
        ValueError: as `prepare` raises.
    """
    calls = {name: prepare(graph, options) for name, graph in graphs.items()}
    plan = TimingPlan(seconds=seconds, rounds=10_000, single_thread=options.single_thread, seed=seed)
    found = time_interleaved(calls, plan)
    first = found[next(iter(graphs))]
    networks = [latency_document(name, found[name], first, seed) for name in graphs]
    usual = found[REFERENCE]
    return {"networks": networks, "slowdown": usual.slowdown, "steady": usual.steady, "versions": versions()}


def fit_space(space: Space, options: LatencyOptions, plan: FitPlan, rows: Path, progress: Progress) -> LatencyModel:
    """Measure random networks of a space and their operators, or what a file lacks of them, and fit a model.

    Args:
        space: the space.
        options: runtime, batch, threads, precision and device.
        plan: extent of the measurements.
        rows: file of the measurements, from which a stopped fit goes on; a hash of the workload is put into its name.
        progress: is told after each group of measurements.

    Raises:
        ValueError: as `prepare` raises, or the runtime compiles each network.
    """
    if options.runtime == COMPILING:
        raise ValueError(
            f"a model is fitted on hundreds of networks, each of which {COMPILING} compiles for seconds: measure the "
            "networks of a front with it"
        )
    setting = Setting(this_machine(options.device), options.circumstances, space_identity(space))
    workload = workload_of(space, plan)
    call = partial(prepare, options=options)
    own = rows.with_name(f"{rows.stem}-{workload.identity}{rows.suffix}")
    found = measure(workload, plan, call, own, progress, single_thread=options.single_thread)
    return fitted(workload, found, setting)


def versions() -> dict[str, str]:
    """Return the versions of the runtimes that are installed."""
    found = {}
    for name in ("torch", "onnxruntime", "openvino"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
