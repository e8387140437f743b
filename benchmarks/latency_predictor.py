"""Errors of a latency model on held-out networks of this device, beside those of MACs and of parameters alone.

The model is fitted on networks and operators of one seed, as `nas measure fit=true` does; the held-out networks are of
another seed, and measured for themselves. Both measurements go on where they were stopped. The power laws of MACs and
of parameters are fitted on the networks that the model is fitted on. The time of a prediction is of architectures with
parts that the predictor has and has not seen.

    python benchmarks/latency_predictor.py [--runtimes torch onnxruntime] [--space quick] [--held-out 160]
        [--networks 240] [--seconds 480] [--batch 1] [--threads 1] [--device cpu] [--folder outputs/latency_predictor]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from nas.cli.app.compose import compose
from nas.data import describe
from nas.exports.profiling.fitting import Setting, combined, fitted, measure
from nas.exports.profiling.latency import versions
from nas.exports.profiling.runtimes import prepare
from nas.exports.profiling.workload import FitPlan, Workload, workload_of
from nas.jobs.processor import processor_name
from nas.objectives.latency.files import LatencyOptions, space_identity
from nas.objectives.latency.machine import this_machine
from nas.objectives.latency.model import Errors, LatencyModel
from nas.objectives.latency.parts import Predictor
from nas.objectives.latency.regression import errors_of, power_law
from search_space.cost import cost
from search_space.graph import Graph, Shape
from search_space.space import Space, parse_space

HELD_OUT_SEED = 1000
TIMED = 1000
"""Architectures whose predictions are timed."""


@dataclass(frozen=True)
class Found:
    """Result of one runtime.

    Attributes:
        errors: errors by predictor.
        bias: median of predicted by measured latency of the held-out networks.
        seconds: seconds that the fit measured.
        microseconds: median time of a prediction.
        outside: held-out networks outside the fitted range.
    """

    errors: dict[str, Errors]
    bias: float
    seconds: float
    microseconds: float
    outside: int


def examine(space: Space, options: LatencyOptions, plan: FitPlan, held_out: int, folder: Path) -> Found:
    """Fit a model and predict the held-out networks."""
    call, single = partial(prepare, options=options), options.single_thread
    name = f"{space.name}-{options.runtime}-{options.batch}-{options.threads}-{options.device}"
    workload = workload_of(space, plan)
    path = folder / f"{name}-fit-{workload.identity}.jsonl"
    rows = measure(workload, plan, call, path, _progress(f"{options.runtime} fit"), single_thread=single)
    setting = Setting(this_machine(options.device), options.circumstances, space_identity(space))
    model = fitted(workload, rows, setting)
    apart = replace(plan, networks=held_out, operators=0, seed=HELD_OUT_SEED, seconds=plan.seconds)
    others = Workload(workload_of(space, apart).networks, ())
    path = folder / f"{name}-held-out-{others.identity}.jsonl"
    test = combined(measure(others, apart, call, path, _progress(f"{options.runtime} test"), single_thread=single))
    target = np.array([test[f"n{place}"] for place in range(held_out)])
    predicted = [model.predict(graph) for graph in others.networks]
    milliseconds = np.array([each.milliseconds for each in predicted])
    known = combined(rows)
    trained = np.array([known[f"n{place}"] for place in range(len(workload.networks))])
    errors = {"operators": errors_of(milliseconds, target)}
    for field in ("macs", "params"):
        errors[field] = errors_of(_by_one(field, workload.networks, trained, others.networks, target), target)
    return Found(
        errors,
        float(np.median(milliseconds / target)),
        sum(row.seconds for row in rows),
        prediction_time(space, model),
        sum(each.outside for each in predicted),
    )


def _by_one(
    field: str,
    train: Sequence[Graph],
    trained: NDArray[np.float64],
    test: Sequence[Graph],
    target: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the latencies of the test networks by a power law of one cost, fitted on the others."""
    values = np.array([_value(field, graph) for graph in (*train, *test)])
    rule = power_law(values, np.concatenate([trained, target]))
    return rule(np.arange(len(trained)), np.arange(len(trained), len(values)))


def _value(field: str, graph: Graph) -> float:
    return float(getattr(cost(graph), field))


def prediction_time(space: Space, model: LatencyModel) -> float:
    """Return the median microseconds of a prediction of a random architecture."""
    generator, predictor = random.Random(5), Predictor(model)
    times = []
    for architecture in [space.draw(generator) for _ in range(TIMED)]:
        start = time.perf_counter()
        predictor.predict(architecture)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def _progress(what: str) -> Any:
    def told(done: int, total: int, seconds: float) -> None:
        print(f"{what}: {done} of {total} groups, {seconds:.0f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr)

    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runtimes", nargs="+", default=["torch", "onnxruntime"])
    parser.add_argument("--space", default="quick")
    parser.add_argument("--data", nargs="*", default=["data=digits"], help="overrides that name the images")
    parser.add_argument("--held-out", type=int, default=160)
    parser.add_argument("--networks", type=int, default=240)
    parser.add_argument("--seconds", type=float, default=480.0, help="seconds after which no further pass begins")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, default=Path("outputs/latency_predictor"))
    arguments = parser.parse_args()
    config: Any = compose("search", [f"space={arguments.space}", *arguments.data])
    info = describe(config.data)
    space = parse_space(config.space, Shape(*info.shape), len(info.classes))
    plan = FitPlan(networks=arguments.networks, seconds=arguments.seconds)
    table = Table(title=f"{space.name} on {space.input} images, {arguments.held_out} held-out networks")
    for heading in ("runtime", "predicted from", "median error", "90th percentile", "Kendall's tau"):
        table.add_column(heading)
    lines = []
    for runtime in arguments.runtimes:
        options = LatencyOptions(runtime, arguments.batch, arguments.threads, device=arguments.device)
        found = examine(space, options, plan, arguments.held_out, arguments.folder)
        for name, errors in found.errors.items():
            table.add_row(runtime, name, f"{errors.median:.1%}", f"{errors.p90:.1%}", f"{errors.tau:.3f}")
        lines.append(
            f"{runtime}: fit measured {found.seconds:.0f} s, a prediction takes {found.microseconds:.0f} µs, predicted "
            f"by measured {found.bias:.3f} in the median, {found.outside} networks outside the fitted range"
        )
    console = Console()
    console.print(table)
    for line in lines:
        console.print(line)
    console.print(
        f"{processor_name()}, {os.cpu_count()} cores, batch {arguments.batch}, {arguments.threads} threads, load "
        f"{os.getloadavg()[0]:.1f}, {versions()}"
    )


if __name__ == "__main__":
    main()
