"""Measured peaks of memory of random networks beside the bound of an inference and the estimate of a training step.

Networks are drawn from spaces of digits and of CIFAR-10. Peaks are those of torch's allocator in a process of its own,
workspaces of kernels included. The law: no measured inference above its bound, and each estimate of a training step
within 25 % of the measurement. Rows are appended to a file, from which a stopped run goes on.

    python benchmarks/memory_measured.py [--inference 50] [--training 30] [--batch-size 64] [--rows FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

from nas.config.training import Recipe
from nas.exports.profiling.memory import MemoryPlan, measure_memory
from nas.jobs.processor import processor_name
from search_space.graph import Graph, Shape
from search_space.lowering import lower
from search_space.space import parse_space

SPACES = {"quick": Shape(1, 8, 8), "cifar": Shape(3, 32, 32)}
FOLDER = Path(__file__).resolve().parents[1] / "conf" / "space"
CLOSE = 0.25
CHUNK = 5
"""Networks that one process measures, whose start takes seconds."""


def drawn(count: int) -> Iterator[tuple[str, Graph]]:
    """Yield random networks by name, of the spaces in turn."""
    spaces = {
        name: parse_space(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")), shape, 10)
        for name, shape in SPACES.items()
    }
    for number in range(count):
        name = list(SPACES)[number % len(SPACES)]
        yield f"{name}{number}", lower(spaces[name].draw(random.Random(number)))


def measured(count: int, batch_size: int, rows: Path) -> list[dict[str, Any]]:
    """Return the documents of networks; those that the file lacks are measured."""
    known = {}
    if rows.is_file():
        known = {row["network"]: row for row in map(json.loads, rows.read_text(encoding="utf-8").splitlines())}
    rows.parent.mkdir(parents=True, exist_ok=True)
    graphs = dict(drawn(count))
    missing = [name for name in graphs if name not in known]
    for start in range(0, len(missing), CHUNK):
        chunk = {name: graphs[name] for name in missing[start : start + CHUNK]}
        for row in measure_memory(chunk, MemoryPlan(Recipe(batch_size=batch_size))):
            known[row["network"]] = row
            with rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    return [known[name] for name in graphs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inference", type=int, default=50)
    parser.add_argument("--training", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    rows = given.rows or Path("outputs") / f"memory_measured_{given.batch_size}.jsonl"
    found = measured(max(given.inference, given.training), given.batch_size, rows)
    inference = [row["inference"] for row in found[: given.inference]]
    training = [row["training"] for row in found[: given.training]]
    above = [row for row in inference if row["allocated_mib"] > row["bound_mib"]]
    ratios = sorted(row["bound_mib"] / row["allocated_mib"] for row in inference)
    errors = sorted(abs(row["estimate_mib"] / row["allocated_mib"] - 1) for row in training)
    bounds = sorted(row["bound_mib"] / row["allocated_mib"] for row in training)
    say = Console(highlight=False).print
    say(f"{processor_name()}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    say(f"inference, {len(inference)} networks: {len(above)} above the bound; bound / measured {spread(ratios)}")
    say(
        f"training step at batch {given.batch_size}, {len(training)} networks: "
        f"{sum(error <= CLOSE for error in errors)} within {CLOSE:.0%}; relative error {spread(errors)}; "
        f"upper bound / measured {spread(bounds)}"
    )


def spread(values: list[float]) -> str:
    """Return minimum, median and maximum of sorted values."""
    return f"{values[0]:.3f} / {values[len(values) // 2]:.3f} / {values[-1]:.3f} (min / median / max)"


if __name__ == "__main__":
    main()
