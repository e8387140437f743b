"""Measurement on another device for `nas measure`: `on=FOLDER` and `results=FILE`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nas.cli.common.measured import kept_with_study, named_networks
from nas.config.commands import MeasureConfig
from nas.data import describe
from nas.exports.libraries import optional
from nas.exports.profiling.workload import FitPlan
from nas.jobs.notice import showing
from nas.objectives.latency.files import LatencyOptions, save
from nas.objectives.latency.machine import this_machine
from nas.objectives.latency.model import LatencyModel
from search_space.graph import Shape
from search_space.space import Space, parse_space

ELSEWHERE = "nas.exports.profiling.elsewhere"
"""Module that writes ONNX files; it takes seconds to load."""
TAKEN_BACK = "nas.exports.profiling.taken_back"
SECONDS, FIT_SECONDS = 10.0, 480.0
"""Seconds of measuring, where none are given, of named networks and for a model."""


def options_of(config: MeasureConfig) -> LatencyOptions:
    """Return the circumstances that a command names."""
    return LatencyOptions(config.runtime, config.batch, config.threads, config.precision, config.device)


def space_of(config: MeasureConfig) -> Space:
    """Return the space on the images that a command names.

    Raises:
        ValueError: invalid data or space.
    """
    info = describe(config.data)
    return parse_space(config.space, Shape(*info.shape), len(info.classes))


def plan_of(config: MeasureConfig) -> FitPlan:
    """Return the extent of the measurements for a model."""
    return FitPlan(networks=config.networks, seconds=config.seconds or FIT_SECONDS, seed=config.seed)


def write_for(config: MeasureConfig, folder: str) -> dict[str, Any]:
    """Write the folder for another device: of the named networks, or for a model of the space.

    Raises:
        ValueError: an unknown network, invalid data or space, another runtime than ONNX Runtime, or the folder holds
            something else.
    """
    options = options_of(config)
    options = replace(options, runtime="onnxruntime") if options.runtime == "torch" else options
    named = any(name is not None for name in (config.architecture, config.reference, config.study))
    graphs = named_networks(config) if named and not config.fit else {}
    with showing("nas measure: loading torch"):
        elsewhere = optional(ELSEWHERE)
    if graphs:
        job = elsewhere.networks_job(graphs, options, config.seconds or SECONDS, config.seed)
    else:
        job = elsewhere.space_job(space_of(config), options, plan_of(config))
    written: dict[str, Any] = elsewhere.write_folder(job, Path(folder).expanduser(), _told)
    return {**written, **options.circumstances}


def _told(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        sys.stderr.write(f"{done} of {total} networks written\n")


def taken_back(config: MeasureConfig, file: str) -> dict[str, Any]:
    """Return the document of results from another device: of the model that is kept, or of the networks' latencies.

    Raises:
        ValueError: the file is none of results, or none of its networks is of the study that is named.
    """
    with showing("nas measure: reading the results"):
        module = optional(TAKEN_BACK)
        results = module.read_results(Path(file).expanduser())
        if results.of_space:
            return model_document(module.model_of(results))
        document = {"machine": dict(results.device), **results.options.circumstances, **module.latencies(results)}
    kept = kept_with_study(config, document, results.identities, results.options.circumstances)
    return document if kept is None else {**document, "kept": str(kept)}


def model_document(model: LatencyModel) -> dict[str, Any]:
    """Return the document of a fitted model, which is kept at its place."""
    here = dict(model.device) == this_machine(str(model.circumstances["device"]))
    path = save(model)
    return {
        "machine": dict(model.device),
        **model.circumstances,
        "space": model.fitted_on["space"],
        "input": list(model.fitted_on["input"]),
        "model": str(path),
        "hash": model.hash,
        "range_ms": list(model.range_ms),
        "errors": {name: asdict(errors) for name, errors in model.errors.items()},
        "options": _options(model.circumstances) if here else {"model": str(path)},
    }


def _options(circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an objective `latency_ms` that are not its defaults."""
    usual = LatencyOptions().circumstances
    return {name: value for name, value in circumstances.items() if value != usual.get(name)}
