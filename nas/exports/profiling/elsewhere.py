"""Measurement on another device: a folder of ONNX files with one script, and the results that it brings back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from nas.exports.libraries import ONNX, lacking
from nas.exports.profiling.fitting import QUANTILE
from nas.exports.profiling.runtimes import onnx_of
from nas.exports.profiling.standalone import FORMAT, JOB, RESULTS, ROWS
from nas.exports.profiling.workload import FitPlan, drawn, workload_of_networks
from nas.jobs.files import write_json, write_text
from nas.objectives.latency.files import LatencyOptions, space_identity
from search_space.graph import Graph
from search_space.identity import network_id
from search_space.space import Space

SCRIPT, NETWORKS = "measure.py", "networks"
GROUPS, ROUNDS, LEAST_GROUPS = 100, 2, 8
"""Groups of turns of named networks at most, rounds of a group, and groups that are measured in any case."""

Told = Callable[[int, int], None]
"""Takes files written, and files in all."""


@dataclass(frozen=True)
class Job:
    """Content of a folder for another device.

    Attributes:
        graphs: the networks by the names of their files.
        options: runtime, batch and threads.
        document: what the script reads, and the results hold again, but for circumstances and files.
    """

    graphs: Mapping[str, Graph]
    options: LatencyOptions
    document: Mapping[str, Any] = field(default_factory=dict)


def space_job(space: Space, options: LatencyOptions, plan: FitPlan) -> Job:
    """Return the job whose results fit a model: random networks of a space, and their operators alone."""
    architectures = drawn(space, plan)
    workload = workload_of_networks(architectures, plan.operators)
    first = workload.chunks(plan.seed, 0)
    document = {
        "kind": "space",
        "fitted_on": space_identity(space),
        "architectures": [architecture.to_json() for architecture in architectures],
        "operators": plan.operators,
        "workload": workload.identity,
        "chunks": [names for number in range(plan.passes) for names in workload.chunks(plan.seed, number)],
        "least_chunks": len(first),
        "rounds": plan.rounds,
        "turn_ms": plan.turn_ms,
        "seconds": plan.seconds,
        "quantile": QUANTILE,
        "seed": plan.seed,
    }
    return Job(workload.graphs, options, document)


def networks_job(graphs: Mapping[str, Graph], options: LatencyOptions, seconds: float, seed: int = 0) -> Job:
    """Return the job whose results are the latencies of networks.

    Args:
        graphs: the networks by name, at least one.
        options: runtime, batch and threads.
        seconds: longest time of the turns, positive.
        seed: seed of the order of turns.
    """
    document = {
        "kind": "networks",
        "networks": [{"name": name, "network_id": network_id(graph)} for name, graph in graphs.items()],
        "chunks": [list(graphs)] * GROUPS,
        "least_chunks": LEAST_GROUPS,
        "rounds": ROUNDS,
        "turn_ms": 5.0,
        "seconds": seconds,
        "quantile": 0.5,
        "seed": seed,
    }
    return Job(graphs, options, document)


def write_folder(job: Job, folder: Path, told: Told) -> dict[str, Any]:
    """Write the ONNX files of a job and the script that measures them; files of an earlier job there are replaced.

    Args:
        job: the networks.
        folder: created if missing.
        told: is told after each file.

    Returns:
        `folder`, number of `networks` and `bytes` of their files.

    Raises:
        ValueError: ONNX is not installed, the circumstances are not those of ONNX Runtime in float32 on a processor, or
            the folder holds something else.
    """
    if missing := lacking("on=FOLDER", ONNX[:2], "'inception-nas[export]'"):
        raise ValueError(missing)
    options = job.options
    if (options.runtime, options.precision, options.device) != ("onnxruntime", "float32", "cpu"):
        raise ValueError(
            "another device is measured by runtime=onnxruntime in float32 on the cpu, got "
            f"{options.runtime}, {options.precision}, {options.device}"
        )
    _emptied(folder)
    named, size = {}, 0
    for place, (name, graph) in enumerate(job.graphs.items()):
        named[name] = f"{NETWORKS}/{place}.onnx"
        size += (folder / named[name]).write_bytes(onnx_of(graph, options.batch))
        told(place + 1, len(job.graphs))
    write_json(folder / JOB, {"format": FORMAT, "circumstances": options.circumstances, "files": named, **job.document})
    write_text(folder / SCRIPT, files(__package__).joinpath("standalone.py").read_text(encoding="utf-8"))
    return {"folder": str(folder), "networks": len(named), "bytes": size}


def _emptied(folder: Path) -> None:
    """Create a folder, or remove the files of an earlier job from it."""
    if folder.exists() and not (folder / JOB).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"on must be a new or an empty folder, or one of an earlier on=, got {folder}")
    (folder / NETWORKS).mkdir(parents=True, exist_ok=True)
    for path in [*(folder / NETWORKS).glob("*.onnx"), folder / ROWS, folder / RESULTS]:
        path.unlink(missing_ok=True)
