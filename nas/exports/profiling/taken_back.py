"""Results of a measurement on another device: checked, and made a model of that device or latencies of networks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nas.exports.profiling.fitting import Row, Setting, fitted
from nas.exports.profiling.standalone import FORMAT, REFERENCE
from nas.exports.profiling.timing import STEADY, latency_document, slowdown_of, timing_of
from nas.exports.profiling.workload import workload_of_networks
from nas.objectives.latency.files import LatencyOptions
from nas.objectives.latency.model import LatencyModel
from search_space.architecture import Architecture
from search_space.limits import LONGEST_NAME, shown

LARGEST_RESULTS = 2**28
"""Most bytes of a file of results."""

Turns = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Results:
    """Results that a script brought back.

    Attributes:
        job: job that it was given.
        device: description of the device, text by name.
        versions: versions of its libraries, text by name.
        rows: number, seconds, and milliseconds of each turn by name, of every group.
    """

    job: Mapping[str, Any]
    device: Mapping[str, str]
    versions: Mapping[str, str]
    rows: Sequence[tuple[int, float, Turns]]

    @property
    def of_space(self) -> bool:
        """True if a model of a space is fitted on them; False for latencies of networks."""
        return bool(self.job["kind"] == "space")

    @property
    def identities(self) -> dict[str, str]:
        """`network_id` of each network by its name; none for those of a space."""
        return {str(network["name"]): str(network["network_id"]) for network in self.job.get("networks", ())}

    @property
    def options(self) -> LatencyOptions:
        """Circumstances of the measurement."""
        return LatencyOptions(**self.job["circumstances"])


def read_results(path: Path) -> Results:
    """Return the results of a file.

    Raises:
        ValueError: there is no such file, or it is not one that the script wrote.
    """
    try:
        if path.stat().st_size > LARGEST_RESULTS:
            _refuse(path, f"it has more than {LARGEST_RESULTS} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            _refuse(path, f"its format is {shown(document['format'])}, this version reads {FORMAT}")
        job = document["job"]
        if job["kind"] not in ("space", "networks"):
            _refuse(path, f"its kind is {shown(job['kind'])}")
        LatencyOptions(**job["circumstances"])
        rows = [(int(row["number"]), float(row["seconds"]), _turns(row["turns"])) for row in document["rows"]]
        if not rows:
            _refuse(path, "nothing was measured")
        return Results(job, _texts(document["device"]), _texts(document["versions"]), rows)
    except (OSError, RecursionError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        _refuse(path, f"{type(error).__name__}: {error}")
    except json.JSONDecodeError as error:
        _refuse(path, str(error))


def _refuse(path: Path, fact: str) -> NoReturn:
    raise ValueError(f"results must be the file results.json of a script of nas measure on=FOLDER, got {path}: {fact}")


def _texts(table: Mapping[str, object]) -> dict[str, str]:
    """Return the printable text of a table."""
    found = {str(name): str(value) for name, value in table.items()}
    return {
        name: "".join(sign for sign in text if sign.isprintable())[:LONGEST_NAME]
        for name, text in found.items()
        if name.isidentifier()
    }


def _turns(table: Mapping[str, Sequence[float]]) -> Turns:
    found = {str(name): [float(ms) for ms in turns] for name, turns in table.items()}
    if REFERENCE not in found or not all(turns for turns in found.values()):
        raise ValueError("results must have turns of every network and of the reference workload in every group")
    if not all(ms > 0 and math.isfinite(ms) for turns in found.values() for ms in turns):
        raise ValueError("times of results must be positive numbers")
    return found


def model_of(results: Results) -> LatencyModel:
    """Return the latency model of the device that random networks of a space were measured on.

    Raises:
        ValueError: the networks are damaged or too few, or another version of this program drew the workload.
    """
    job = results.job
    architectures = [Architecture.from_json(document) for document in job["architectures"]]
    workload = workload_of_networks(architectures, int(job["operators"]))
    if workload.identity != job["workload"]:
        raise ValueError(
            f"results must be of the networks {workload.identity} that this version makes of them, got "
            f"{shown(job['workload'])}: measure anew with on=FOLDER"
        )
    rows = [
        Row(
            number,
            seconds,
            float(np.median(turns[REFERENCE])),
            {name: float(np.median(times)) for name, times in turns.items() if name != REFERENCE},
        )
        for number, seconds, turns in results.rows
    ]
    on = job["fitted_on"]
    fitted_on = {"input": [int(size) for size in on["input"]], **_texts({name: on[name] for name in ("space", "hash")})}
    return fitted(workload, rows, Setting(results.device, results.options.circumstances, fitted_on))


def latencies(results: Results) -> dict[str, Any]:
    """Return the latencies of networks as a document, as `measure_networks` does.

    Raises:
        ValueError: a network was not measured.
    """
    names = list(results.identities)
    found = {name: _series(results.rows, name) for name in [*names, REFERENCE]}
    reference = found.pop(REFERENCE)
    slowdown = slowdown_of(reference)
    timings = {name: timing_of(series, slowdown) for name, series in found.items()}
    networks = [latency_document(name, timing, timings[names[0]]) for name, timing in timings.items()]
    return {
        "networks": networks,
        "slowdown": slowdown,
        "steady": slowdown <= STEADY,
        "versions": dict(results.versions),
    }


def _series(rows: Sequence[tuple[int, float, Turns]], name: str) -> NDArray[np.float64]:
    if missing := [number for number, _, turns in rows if name not in turns]:
        raise ValueError(f"every group of results must have every network, {name!r} is missing in group {missing[0]}")
    return np.array([ms for _, _, turns in sorted(rows, key=lambda row: row[0]) for ms in turns[name]])
