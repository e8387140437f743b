"""Repeated measurements of latency on this machine as it is: do intervals hold, and are two networks told apart?

A ladder of networks is one convolution repeated: a base, and networks that are 1.1 and 1.5 times as long.

* Intervals: each network is measured several times by itself. An interval holds if it contains the network's latency
  over all of its measurements, a median of medians.
* Order: in each pair the base and a longer network take turns in one measurement. It is wrong if the ratio orders them
  wrongly, decided if the ratio's interval is on one side of 1. Beside it, the same order by medians of measurements of
  each network by itself.

Rows are appended to a file, and the same command goes on. Figures are of the machine's load, which is printed.

    python benchmarks/latency_repeats.py [--repeats 10] [--pairs 100] [--seconds 2] [--runtime torch]
        [--rows outputs/latency_repeats.jsonl] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nas.exports.profiling.latency import measure_networks, versions
from nas.jobs.processor import processor_name
from nas.objectives.latency.files import LatencyOptions
from search_space.graph import GlobalPool, Graph, Linear, Seq, Shape, conv

INPUT = Shape(32, 16, 16)
LENGTHS = {"base": 20, "1.1": 22, "1.5": 30}
"""Convolutions of each network: the ratio of the latencies is nearly that of the lengths."""
Rows = dict[str, dict[str, Any]]


def network(length: int) -> Graph:
    """Return a network of `length` equal convolutions."""
    return Graph(Seq((*(conv(32, 3) for _ in range(length)), GlobalPool(), Linear(10))), INPUT)


def measured(key: str, names: Sequence[str], arguments: argparse.Namespace, rows: Rows) -> dict[str, Any]:
    """Return a measurement of some networks in turns, made now unless the file has it."""
    if key in rows:
        return rows[key]
    options, seed = LatencyOptions(runtime=arguments.runtime), int(key.rpartition(":")[2])
    graphs = {name: network(LENGTHS[name]) for name in names}
    found = measure_networks(graphs, options, arguments.seconds, seed)
    rows[key] = {"key": key, "load": os.getloadavg()[0], "at": time.time(), **found}
    with arguments.rows.open("a", encoding="utf-8") as file:
        file.write(json.dumps(rows[key]) + "\n")
    return rows[key]


def rows_of(path: Path) -> Rows:
    """Return the whole rows of a file by their keys."""
    found: Rows = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        found[row["key"]] = row
    return found


def intervals(alone: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[tuple[str, ...]]:
    """Yield a row a network: its latency over all measurements, the intervals that hold it, and their width."""
    for name, found in alone.items():
        latency = float(np.median([each["median_ms"] for each in found]))
        held = sum(each["low_ms"] <= latency <= each["high_ms"] for each in found)
        widths = [each["high_ms"] / each["low_ms"] - 1 for each in found]
        spread = max(each["median_ms"] for each in found) / min(each["median_ms"] for each in found) - 1
        yield name, f"{latency:.4g}", f"{held} of {len(found)}", f"{np.median(widths):.1%}", f"{spread:.1%}"


def order(pairs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the median ratio, and the shares of pairs that are wrong, undecided, and decided wrongly."""
    ratios = [pair["networks"][1]["ratio"] for pair in pairs]
    wrong = sum(ratio["ratio"] <= 1 for ratio in ratios)
    open_ = sum(ratio["low"] <= 1 <= ratio["high"] for ratio in ratios)
    decided_wrong = sum(ratio["high"] < 1 for ratio in ratios)
    median = float(np.median([ratio["ratio"] for ratio in ratios]))
    return f"{median:.3f}", f"{wrong} of {len(pairs)}", str(open_), str(decided_wrong)


def by_themselves(alone: Mapping[str, Sequence[Mapping[str, Any]]], name: str) -> str:
    """Return how many pairs of measurements of two networks by themselves are ordered wrongly by their medians."""
    pairs = [(a["median_ms"], b["median_ms"]) for a in alone["base"] for b in alone[name]]
    return f"{sum(b <= a for a, b in pairs)} of {len(pairs)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=10, help="measurements of each network by itself")
    parser.add_argument("--pairs", type=int, default=100, help="pairs of each ratio")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of a measurement")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--rows", type=Path, default=Path("outputs/latency_repeats.jsonl"))
    parser.add_argument("--quick", action="store_true", help="2 repeats and 2 pairs of 0.2 s, in a file of their own")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats, arguments.pairs, arguments.seconds = 2, 2, 0.2
        arguments.rows = arguments.rows.with_suffix(".quick.jsonl")
    arguments.rows.parent.mkdir(parents=True, exist_ok=True)
    rows, prefix = rows_of(arguments.rows), f"{arguments.runtime}:{arguments.seconds:g}"
    alone: dict[str, list[Any]] = {name: [] for name in LENGTHS}
    for repeat in range(arguments.repeats):
        for name in LENGTHS:
            found = measured(f"{prefix}:alone:{name}:{repeat}", [name], arguments, rows)
            alone[name].append(found["networks"][0])
    longer = [name for name in LENGTHS if name != "base"]
    pairs = {
        name: [measured(f"{prefix}:{name}:{n}", ["base", name], arguments, rows) for n in range(arguments.pairs)]
        for name in longer
    }
    show(alone, pairs, rows)


def show(
    alone: Mapping[str, Sequence[Mapping[str, Any]]], pairs: Mapping[str, Sequence[Mapping[str, Any]]], rows: Rows
) -> None:
    """Print the figures."""
    console = Console()
    table = Table(title="Measurements of one network")
    for heading in ("network", "latency (ms)", "intervals that hold", "median width", "range of medians"):
        table.add_column(heading)
    for row in intervals(alone):
        table.add_row(*row)
    console.print(table)
    table = Table(title="Order of two networks")
    for heading in ("times as long", "median ratio", "wrong", "undecided", "decided wrongly", "wrong by themselves"):
        table.add_column(heading)
    for name, found in pairs.items():
        table.add_row(name, *order(found), by_themselves(alone, name))
    console.print(table)
    loads = [row["load"] for row in rows.values()]
    busy = sum(not row["steady"] for row in rows.values())
    console.print(
        f"{processor_name()}, {os.cpu_count()} cores, load {min(loads):.1f} to {max(loads):.1f}, busy in {busy} of "
        f"{len(rows)} measurements, {versions()}"
    )


if __name__ == "__main__":
    main()
