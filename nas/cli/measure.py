"""`nas measure`: latency of networks on this device, or a model of it for the networks of a space."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.config.commands import MeasureConfig
from nas.data import describe
from nas.exports.libraries import optional
from nas.exports.profiling.workload import FitPlan
from nas.jobs.notice import showing
from nas.objectives.latency.files import LatencyOptions, file_of, save, space_identity
from nas.objectives.latency.machine import this_machine
from nas.objectives.latency.model import LatencyModel
from nas.reports.latency_table import latency_table, model_table
from nas.study.architectures import Studies, named_architecture
from search_space.graph import Graph, Shape
from search_space.lowering import lower, normalise
from search_space.references import builder_of
from search_space.space import parse_space

PROFILING = "nas.exports.profiling.latency"
"""Module that times networks; it takes seconds to load."""
SECONDS, FIT_SECONDS = 10.0, 480.0


def run(config: MeasureConfig) -> int:
    """Measure the named networks, or fit a model for the space, and print the result.

    Raises:
        ValueError: an unknown network or runtime, or invalid data or space.
    """
    options = LatencyOptions(config.runtime, config.batch, config.threads, config.precision, config.device)
    if config.fit:
        print_document(_fit(config, options), config.format, model_table, model_rows)
    else:
        print_document(_measure(config, options), config.format, latency_table, latency_rows)
    return 0


def _measure(config: MeasureConfig, options: LatencyOptions) -> dict[str, Any]:
    graphs = _networks(config)
    with showing("nas measure: loading torch"):
        profiling = optional(PROFILING)
    seconds = config.seconds or SECONDS
    with showing(f"nas measure: {seconds:g} s of turns"):
        found = profiling.measure_networks(graphs, options, seconds, config.seed)
    return {"machine": this_machine(options.device), **options.circumstances, **found}


def _networks(config: MeasureConfig) -> dict[str, Graph]:
    """Return the named networks by name.

    Raises:
        ValueError: there is no such network.
    """
    found: dict[str, Graph] = {}
    studies = Studies(config.outputs, config.storage.kind)
    for name in _names(config.architecture):
        architecture = named_architecture(name, studies)
        if architecture is None:
            raise ValueError(f"architecture must be a JSON file or a trial as STUDY:NUMBER, got {name!r}")
        found[name] = lower(normalise(architecture[0]))
    for name in _names(config.reference):
        found[name] = builder_of(name)()
    return found


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def _fit(config: MeasureConfig, options: LatencyOptions) -> dict[str, Any]:
    info = describe(config.data)
    space = parse_space(config.space, Shape(*info.shape), len(info.classes))
    machine, fitted_on = this_machine(options.device), space_identity(space)
    with showing("nas measure: loading torch"):
        profiling = optional(PROFILING)
    plan = FitPlan(networks=config.networks, seconds=config.seconds or FIT_SECONDS, seed=config.seed)
    place = file_of(machine, options.circumstances, fitted_on)
    rows = place.with_name(f"{place.stem}-{plan.identity}.jsonl")
    model: LatencyModel = profiling.fit_space(space, options, plan, rows, _progress)
    return {
        "machine": machine,
        **options.circumstances,
        "space": space.name,
        "input": list(space.input),
        "model": str(save(model)),
        "hash": model.hash,
        "range_ms": list(model.range_ms),
        "errors": {name: asdict(errors) for name, errors in model.errors.items()},
    }


def _progress(done: int, total: int, seconds: float) -> None:
    sys.stderr.write(f"{done} of {total} groups measured, {seconds:.0f} s\n")


def latency_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a network."""
    rows: list[Row] = [["network", "median_ms", "low_ms", "high_ms", "ratio", "ratio_low", "ratio_high"]]
    for found in document["networks"]:
        ratio = found["ratio"]
        rows.append([*(found[name] for name in rows[0][:4]), ratio["ratio"], ratio["low"], ratio["high"]])
    return rows


def model_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each predictor of latency."""
    rows: list[Row] = [["predictor", "errors"]]
    return [*rows, *([name, json.dumps(errors)] for name, errors in document["errors"].items())]
