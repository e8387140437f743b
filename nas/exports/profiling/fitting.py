"""Fit of a latency model on this device: measurements of a workload, appended to a file so that a fit can go on.

Each item is measured in several passes, in other company each time, and its turns within a pass are interleaved with
those of the others. A reference workload takes turns too: by how much it is slower than usual tells what the machine
did to its neighbours, which is divided out. Where an inference keeps to one thread, its processor time is taken, since
that does not count what other programs use.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.exports.profiling.timing import REFERENCE, reference_workload
from nas.exports.profiling.turns import Call, Clocks, rounds, take_turn, warm_up
from nas.exports.profiling.workload import FitPlan, Workload
from nas.objectives.latency.model import LatencyModel
from nas.objectives.latency.regression import Measured, fit
from search_space.graph import Graph

Prepare = Callable[[Graph], Call]
"""Returns a call that runs one inference of a network."""

Progress = Callable[[int, int, float], None]
"""Takes chunks done, chunks in all, and the seconds measured so far."""

QUANTILE = 0.4
"""Quantile of the repeats of a turn: disturbances only ever make a repeat slower."""


@dataclass(frozen=True)
class Setting:
    """Device and circumstances of a fit.

    Attributes:
        device: device, as `nas.objectives.latency.machine` describes it, with versions of libraries.
        circumstances: batch, threads, precision, runtime and device of the inference.
        fitted_on: input, name and hash of the space.
    """

    device: Mapping[str, str]
    circumstances: Mapping[str, Any]
    fitted_on: Mapping[str, Any]


class Row(NamedTuple):
    """Measurements of one chunk in one pass.

    Attributes:
        number: running number of the chunk over all passes.
        seconds: seconds that it took.
        reference: milliseconds of the reference workload.
        items: milliseconds by item.
    """

    number: int
    seconds: float
    reference: float
    items: dict[str, float]


def measure(
    workload: Workload, plan: FitPlan, prepare: Prepare, path: Path, progress: Progress, *, single_thread: bool
) -> list[Row]:
    """Measure a workload, or what the file lacks of it.

    Args:
        workload: the items.
        plan: extent of the measurements.
        prepare: returns a call that runs one inference of a network.
        path: file that the rows are appended to.
        progress: is told after each chunk.
        single_thread: whether processor time is taken.
    """
    rows = {row.number: row for row in rows_of(path)}
    first = workload.chunks(plan.seed, 0)
    total = len(first) * plan.passes
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            file.write("\n")  # a line that was cut off by the end of a process
        for number, names in _chunks(workload, plan):
            spent = sum(row.seconds for row in rows.values())
            if number >= len(first) and spent > plan.seconds:
                break
            if number not in rows:
                calls = {name: prepare(workload.graphs[name]) for name in names}
                rows[number] = row = measure_chunk(number, calls, plan, single_thread=single_thread)
                file.write(json.dumps(row._asdict()) + "\n")
                file.flush()
                os.fsync(file.fileno())
            progress(number + 1, total, sum(row.seconds for row in rows.values()))
    return list(rows.values())


def _chunks(workload: Workload, plan: FitPlan) -> Iterator[tuple[int, list[str]]]:
    number = 0
    for part in range(plan.passes):
        for names in workload.chunks(plan.seed, part):
            yield number, names
            number += 1


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of a file; lines that were cut off by the end of a process are left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = Row(**json.loads(line))
            items = {str(name): float(ms) for name, ms in row.items.items()}
            yield Row(int(row.number), float(row.seconds), float(row.reference), items)
        except (ValueError, TypeError, AttributeError):
            continue


def measure_chunk(number: int, calls: Mapping[str, Call], plan: FitPlan, *, single_thread: bool) -> Row:
    """Return the milliseconds of calls that take turns in a random order, with those of the reference workload.

    Args:
        number: running number of the chunk.
        calls: the calls by item.
        plan: rounds and length of a turn.
        single_thread: whether processor time is taken.
    """
    start, clocks = time.perf_counter(), Clocks()
    everything = {**calls, REFERENCE: reference_workload()}
    repeats = {name: warm_up(call, plan.turn_ms, clocks) for name, call in everything.items()}
    turns: dict[str, list[float]] = {name: [] for name in everything}
    for order in islice(rounds(everything, random.Random(f"{plan.seed}/{number}/order")), plan.rounds):
        for name in order:
            times = take_turn(everything[name], repeats[name], clocks)
            taken = [found.processor if single_thread else found.wall for found in times]
            turns[name].append(float(np.quantile(taken, QUANTILE)))
    found = {name: float(np.median(values)) for name, values in turns.items()}
    return Row(number, time.perf_counter() - start, found.pop(REFERENCE), found)


def combined(rows: list[Row]) -> dict[str, float]:
    """Return the milliseconds of each item: the median over passes, without the drift of the reference workload."""
    usual = float(np.median([row.reference for row in rows]))
    found: dict[str, list[float]] = {}
    for row in rows:
        slowdown = (row.reference / usual) ** DRIFT
        for name, ms in row.items.items():
            found.setdefault(name, []).append(ms / slowdown)
    return {name: float(np.median(values)) for name, values in found.items()}


DRIFT = 0.5
"""Share, on the logarithm, of the reference workload's drift that networks share."""


def fitted(workload: Workload, rows: list[Row], setting: Setting) -> LatencyModel:
    """Return the model of a workload's measurements.

    Raises:
        ValueError: too few networks were measured.
    """
    times = combined(rows)
    networks = [(graph, times[f"n{i}"]) for i, graph in enumerate(workload.networks) if f"n{i}" in times]
    operators = [(operator, times[f"o{i}"]) for i, operator in enumerate(workload.operators) if f"o{i}" in times]
    return fit(
        Measured(
            networks=[graph for graph, _ in networks],
            milliseconds=_array([ms for _, ms in networks]),
            operators=[operator for operator, _ in operators],
            alone=_array([ms for _, ms in operators]),
            device=setting.device,
            circumstances=setting.circumstances,
            fitted_on=setting.fitted_on,
        )
    )


def _array(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
