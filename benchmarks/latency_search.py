"""Searches by predicted latency beside searches by MACs, their fronts read by the latency that is measured.

For each seed, a search for accuracy and latency within a limit, and one for accuracy and MACs without it, of as many
trials. The networks of both fronts are then measured in turns in one measurement; a network of either front counts if
its measured latency is within the limit. Fronts are compared by their hypervolume in (latency, error of the
validation), paired by seed, with Student's interval. The latency search is also asked by how much a measured latency
breaks the limit, beside the stated error of the model. Finished studies and measurements are kept, and the same command
goes on.

    python benchmarks/latency_search.py [--data FOLDER] [--seeds 3] [--trials 60] [--limit MS] [--runtime torch]
        [--seconds 60] [--folder outputs/latency_search]

Without a folder with CIFAR-10 as Parquet, the images are the digits. The limit is by default the geometric mean of the
cheapest and the median predicted latency of the space. Accuracies are the believed ones of the searches' own validation
parts, which both kinds of searches share.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nas.cli.app.compose import compose
from nas.data import describe
from nas.exports.profiling.latency import measure_networks, versions
from nas.jobs.files import write_text
from nas.jobs.processor import processor_name
from nas.objectives.latency.files import LatencyOptions, find
from nas.objectives.latency.model import LatencyModel
from nas.objectives.pareto import Axis, hypervolume, losses
from nas.study.intervals import student_reach
from nas.study.summary import open_for_reading
from search_space.architecture import Architecture
from search_space.graph import Shape
from search_space.lowering import lower, normalise
from search_space.space import Space, parse_space

KINDS = ("latency", "macs")
DRAWN = 400
"""Random networks whose median latency the default limit is made of."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Setting:
    """Images, extent and place of the searches.

    Attributes:
        words: overrides of `nas search` that name images, space and training.
        seeds: searches of each kind.
        trials: trials of a search.
        options: circumstances of the latency.
        seconds: seconds of a measurement of two fronts.
        folder: of studies and measurements.
    """

    words: Sequence[str]
    seeds: int
    trials: int
    options: LatencyOptions
    seconds: float
    folder: Path


def space_of(setting: Setting) -> Space:
    """Return the space on the images."""
    config: Any = compose("search", list(setting.words))
    info = describe(config.data)
    return parse_space(config.space, Shape(*info.shape), len(info.classes))


def model_of(setting: Setting, space: Space) -> LatencyModel:
    """Return the model of this device, fitted by the command if there is none."""
    try:
        return find(setting.options, space)
    except ValueError:
        words = [f"runtime={setting.options.runtime}", "fit=true", *setting.words]
        subprocess.run([sys.executable, "-m", "nas", "measure", *words], check=True, stdout=subprocess.DEVNULL)
        return find(setting.options, space)


def default_limit(model: LatencyModel, space: Space) -> float:
    """Return the geometric mean of the cheapest and the median predicted latency of random networks."""
    generator = random.Random(0)
    drawn = [model.predict(lower(space.draw(generator))).milliseconds for _ in range(DRAWN)]
    return float((min(drawn) * statistics.median(drawn)) ** 0.5)


def search(kind: str, seed: int, limit: float, setting: Setting) -> Path:
    """Run a search that is not finished, and return the folder of its study."""
    study = setting.folder / (f"{kind}_{limit:.6g}_{seed}" if kind == KINDS[0] else f"{kind}_{seed}")
    if not (study / "front.json").exists():
        words = [*setting.words, f"budget.trials={setting.trials}", "budget.minutes=null", "tracking=none"]
        words += [f"seed={seed}", f"study={study}"]
        if kind == KINDS[0]:
            words += ["objective=[val_accuracy,latency_ms]", f"limits.max_latency_ms={limit}"]
            words += [f"objective.latency_ms.options.runtime={setting.options.runtime}"]
        print(f"search by {kind}, seed {seed}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        command = [sys.executable, "-m", "nas", "search", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return study


def front(study: Path) -> list[dict[str, Any]]:
    """Return trial, believed accuracy and architecture of each network of a front."""
    reader = open_for_reading(study)
    try:
        beliefs = reader.study.believer.beliefs(reader.records)  # none where there are too few trials
        means = {number: belief.means for number, belief in beliefs.items()}
        return [
            {
                "trial": record.number,
                "val_accuracy": float(means.get(record.number, record.values or {})["val_accuracy"]),
                "architecture": dict(record.candidate.architecture),
            }
            for record in reader.study.believer.front(reader.records)
        ]
    finally:
        reader.study.close()


def measured(seed: int, limit: float, setting: Setting) -> dict[str, list[dict[str, Any]]]:
    """Return the fronts of both searches of a seed, each network with its measured latency."""
    path = setting.folder / f"measured_{seed}_{limit:.6g}.json"
    if path.is_file():
        known: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
        return known
    fronts = {kind: front(search(kind, seed, limit, setting)) for kind in KINDS}
    graphs = {
        f"{kind}:{network['trial']}": lower(normalise(Architecture.from_json(network["architecture"])))
        for kind, networks in fronts.items()
        for network in networks
    }
    found = measure_networks(graphs, setting.options, setting.seconds, seed)
    by_name = {each["network"]: each for each in found["networks"]}
    for kind, networks in fronts.items():
        for network in networks:
            network |= {
                name: by_name[f"{kind}:{network['trial']}"][name] for name in ("median_ms", "low_ms", "high_ms")
            }
    write_text(path, json.dumps(fronts) + "\n")
    return fronts


def score(networks: Sequence[Mapping[str, Any]], limit: float, axes: Sequence[Axis]) -> float:
    """Return the hypervolume of the networks whose measured latency is within the limit."""
    points = [
        {"val_accuracy": network["val_accuracy"], "latency_ms": network["median_ms"]}
        for network in networks
        if network["median_ms"] <= limit
    ]
    return hypervolume(losses(axes, points)) if points else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="a folder with CIFAR-10 as Parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--limit", type=float, help="milliseconds")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of a measurement of two fronts")
    parser.add_argument("--folder", type=Path, default=Path("outputs/latency_search"))
    arguments = parser.parse_args()
    images = arguments.data is not None
    words = ["experiment=cifar_quick", f"data.path={arguments.data}"] if images else ["data=digits", "space=quick"]
    folder = arguments.folder / ("cifar" if images else "digits") / arguments.runtime
    options = LatencyOptions(runtime=arguments.runtime)
    setting = Setting(words, arguments.seeds, arguments.trials, options, arguments.seconds, folder)
    folder.mkdir(parents=True, exist_ok=True)
    space = space_of(setting)
    model = model_of(setting, space)
    limit = arguments.limit or default_limit(model, space)
    show(setting, model, limit, [measured(seed, limit, setting) for seed in range(setting.seeds)])


def show(
    setting: Setting, model: LatencyModel, limit: float, runs: Sequence[Mapping[str, Sequence[Mapping[str, Any]]]]
) -> None:
    """Print the figures of each seed, their paired difference, and how far measured latencies break the limit."""
    cheapest = min(network["median_ms"] for run in runs for networks in run.values() for network in networks)
    classes = space_of(setting).classes
    axes = [
        Axis("val_accuracy", "maximize", False, 1.0, 1 / classes),
        Axis("latency_ms", "minimize", True, min(cheapest, limit) / 1.01, limit * 1.0001),
    ]
    table = Table(title=f"Fronts by measured latency within {limit:.4g} ms, hypervolume")
    for heading in ("seed", *(f"search by {kind}" for kind in KINDS), "difference", "most over the limit"):
        table.add_column(heading, justify="right")
    differences, over = [], []
    for seed, run in enumerate(runs):
        scores = [score(run[kind], limit, axes) for kind in KINDS]
        differences.append(scores[0] - scores[1])
        over.append(max(network["median_ms"] / limit - 1 for network in run[KINDS[0]]))
        table.add_row(str(seed), *(f"{found:.4f}" for found in scores), f"{differences[-1]:+.4f}", f"{over[-1]:+.1%}")
    console = Console()
    console.print(table)
    if len(differences) > 1:
        reach = student_reach(float(np.std(differences, ddof=1)), len(differences), CONFIDENCE)
        mean = statistics.mean(differences)
        console.print(
            f"difference {mean:+.4f} [{mean - reach:+.4f}, {mean + reach:+.4f}], n={len(differences)}, paired"
        )
    console.print(f"stated error of the model {model.stated_error:.1%}; largest excess over the limit {max(over):+.1%}")
    console.print(
        f"{setting.trials} trials a search, {setting.options.runtime}, {processor_name()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, {versions()}"
    )


if __name__ == "__main__":
    main()
