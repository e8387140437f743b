"""`nas measure`: latency of networks on this device, or a model of it for the networks of a space."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from nas.cli.common.measured import identities_of, kept_with_study, named_networks
from nas.cli.common.measured_memory import memory_document, memory_rows
from nas.cli.common.other_device import (
    SECONDS,
    model_document,
    options_of,
    plan_of,
    space_of,
    taken_back,
    write_for,
)
from nas.cli.common.printing import Row, print_document
from nas.config.commands import MeasureConfig
from nas.exports.libraries import optional
from nas.jobs.device_lock import exclusive_devices
from nas.jobs.notice import showing
from nas.objectives.latency.files import file_of, space_identity
from nas.objectives.latency.machine import this_machine
from nas.reports.latency_table import folder_table, latency_table, model_table, operators_table
from nas.reports.memory_table import memory_table

PROFILING = "nas.exports.profiling.latency"
"""Module that times networks; it takes seconds to load."""
OPERATORS = "nas.exports.profiling.operators_alone"


def run(config: MeasureConfig) -> int:
    """Measure the named networks, or fit a model for the space, here or on another device, and print the result.

    Raises:
        ValueError: an unknown network or runtime, invalid data or space, results that are none, or a machine that
            trains.
    """
    if config.on is not None:
        print_document(write_for(config, config.on), config.format, folder_table, folder_rows)
        return 0
    if config.memory:
        print_document(memory_document(config, named_networks(config)), config.format, memory_table, memory_rows)
        return 0
    if config.operators:
        print_document(_operators(config), config.format, operators_table, operators_rows)
        return 0
    if config.results is not None:
        document = taken_back(config, config.results)
    else:
        document = _fit(config) if config.fit else _measure(config)
    if "networks" in document:
        print_document(document, config.format, latency_table, latency_rows)
    else:
        print_document(document, config.format, model_table, model_rows)
    return 0


def _measure(config: MeasureConfig) -> dict[str, Any]:
    options, graphs = options_of(config), named_networks(config)
    seconds = config.seconds or SECONDS
    with exclusive_devices():
        with showing("nas measure: loading torch"):
            profiling = optional(PROFILING)
        with showing(f"nas measure: {seconds:g} s of turns"):
            found = profiling.measure_networks(graphs, options, seconds, config.seed)
    document = {"machine": this_machine(options.device), **options.circumstances, **found}
    kept = kept_with_study(config, document, identities_of(graphs), options.circumstances)
    return document if kept is None else {**document, "kept": str(kept)}


def _operators(config: MeasureConfig) -> dict[str, Any]:
    options, graphs = options_of(config), named_networks(config)
    if len(graphs) != 1:
        raise ValueError(f"operators=true must be of one network, got {len(graphs)}")
    ((name, graph),) = graphs.items()
    seconds = config.seconds or SECONDS
    with exclusive_devices():
        with showing("nas measure: loading torch"):
            module = optional(OPERATORS)
        with showing(f"nas measure: {seconds:g} s of turns"):
            found = module.measure_operators(name, graph, options, seconds, config.seed)
    return {"machine": this_machine(options.device), **options.circumstances, **found}


def _fit(config: MeasureConfig) -> dict[str, Any]:
    options, space, plan = options_of(config), space_of(config), plan_of(config)
    machine, fitted_on = this_machine(options.device), space_identity(space)
    place = file_of(machine, options.circumstances, fitted_on)
    rows = place.with_name(f"{place.stem}-{plan.identity}.jsonl")
    with exclusive_devices():
        with showing("nas measure: loading torch"):
            profiling = optional(PROFILING)
        model = profiling.fit_space(space, options, plan, rows, _progress)
    return model_document(model)


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


def operators_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row an operator."""
    header = ["operator", "kind", "count", "median_ms", "low_ms", "high_ms", "total_ms"]
    return [header, *([found[name] for name in header] for found in document["operators"])]


def folder_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row about a folder for another device."""
    header = ["folder", "networks", "bytes"]
    return [header, [document[name] for name in header]]
