"""`nas rehearse`: simulation of a search strategy on a table of learning curves or a surrogate, and its score."""

from __future__ import annotations

import logging
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.config.commands import RehearseConfig
from nas.objectives.limits import Limits
from nas.reports.rehearsals import draw_rehearsals, rehearsal_table
from nas.tabular.simulation.bands import band
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.document import Scoring, document, horizon_of
from nas.tabular.simulation.pool import SimulationPool
from nas.tabular.simulation.scores import GOALS, score
from nas.tabular.simulation.simulated_table import open_table
from nas.tabular.simulation.trace import SearchTrace
from nas.tabular.simulation.truth import NEAR, WHOLE, truth_of
from nas.tabular.surrogate.benchmark import open_surrogate
from nas.workers.devices import slot_devices

log = logging.getLogger(__name__)


def run(config: RehearseConfig) -> int:
    """Simulate the searches, print their scores and plot them.

    Raises:
        ValueError: no table or surrogate, an invalid one, or an unknown sampler or fidelity.
    """
    simulated = _benchmark(config)
    limits, horizon = Limits(**config.limits), horizon_of(config.budget, simulated)
    truths = [truth_of(simulated, limits, box) for box in (WHOLE, NEAR)]
    traces = _traces(config, simulated)
    scores, near = (
        [score(trace, truth, horizon, charge_driver=config.thinking) for trace in traces] for truth in truths
    )
    whole, around = Scoring(truths[0], scores), Scoring(truths[1], near)
    result = {"strategy": _strategy(config), **document(traces, whole, around, simulated)}
    name = f"{config.sampler.name}, {config.fidelity.name}"
    if config.plot is not None:
        bands, title = [band(name, scores, horizon)], f"{simulated.path.name}, {len(scores)} seeds"
        draw_rehearsals({title: bands}, {title: result}, Path(config.plot).expanduser())
    table = partial(rehearsal_table, name=name, thinking=_thinking(traces))
    print_document(result, config.format, table, rehearsal_rows)
    if config.plot is not None:
        sys.stderr.write(f"Files:\n  {config.plot}\n")
    return 0


def _benchmark(config: RehearseConfig) -> Benchmark:
    """Open the table, or fit the surrogate."""
    given = config.table if config.surrogate is None else config.surrogate
    if given is None:
        raise ValueError("table=FILE must say which table, or surrogate=FILE which sample; nas tabulate makes them")
    path, name = Path(given).expanduser(), "table" if config.surrogate is None else "surrogate"
    opened: Callable[[Path, int, str], Benchmark] = open_table if config.surrogate is None else open_surrogate
    try:
        return opened(path, config.slots, config.charge)
    except OSError as error:
        raise ValueError(f"{name} must be a file that can be read, got {path}: {error.strerror}") from error


def _traces(config: RehearseConfig, simulated: Benchmark) -> list[SearchTrace]:
    """Simulate one search a seed, in order of the seeds."""
    strategies = [replace(config, seed=config.seed + offset) for offset in range(config.seeds)]
    log.info("simulating %d searches over %s", config.seeds, simulated.path)
    found = dict(SimulationPool(len(slot_devices(config.workers, ()))).simulate(strategies, simulated))
    return [found[index] for index in range(config.seeds)]


def _strategy(config: RehearseConfig) -> dict[str, Any]:
    settings = asdict(config)
    return {name: settings[name] for name in ("sampler", "fidelity", "objective", "limits", "budget", "start")}


def _thinking(traces: Sequence[SearchTrace]) -> float:
    """Return the median processor seconds of driver and sampler in one simulated search."""
    return statistics.median(trace.driver_seconds for trace in traces)


def rehearsal_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each simulated search."""
    goals = [f"{goal:g}" for goal in GOALS]
    rows: list[Row] = [["seed", "table_seed", *(f"reached_{goal}" for goal in goals), "area", "share"]]
    for played in document["rehearsals"]:
        reached = [played["reached"][goal] for goal in goals]
        rows.append([played["seed"], played["table_seed"], *reached, played["area"], played["share"]])
    return rows
