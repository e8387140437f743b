"""Quality of `nas estimate`: ten searches on digits and CIFAR-10, the stated range beside what each really took.

A search is estimated first, then run, each in a process of its own as a user would. Finished ones stand in --rows and
are not repeated. With 4 slots' worth of other work on the machine, both suffer alike.

    python benchmarks/estimate_quality.py CIFAR10_FOLDER [--rows estimates.jsonl] [--only NAME ...] [--seconds 20]

Takes about 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SMALL = ("data=cifar10", "data.resolution=16", "data.train_fraction=0.04", "data.val_fraction=0.02")
"""1,960 training and 1,000 validation images."""
NO_TRIALS = "budget.trials=null"

SEARCHES: Mapping[str, Sequence[str]] = {
    "digits, 20 trials": ["budget.trials=20"],
    "digits, 60 trials": ["budget.trials=60"],
    "digits, 25 trials, 24 epochs": ["budget.trials=25", "training.epochs=24"],
    "digits, 60 trials, freeze_thaw": ["budget.trials=60", "fidelity=freeze_thaw"],
    "digits, 40 trials, tpe": ["budget.trials=40", "sampler=tpe"],
    "digits, 20 full trainings": [NO_TRIALS, "budget.trainings=20"],
    "digits, 1 minute": [NO_TRIALS, "budget.minutes=1"],
    "CIFAR-10, 12 trials, 4 epochs": [*SMALL, "budget.trials=12", "training.epochs=4"],
    "CIFAR-10, 24 trials, hyperband": [*SMALL, "budget.trials=24", "training.epochs=9", "fidelity=hyperband"],
    "CIFAR-10, 90 seconds": [*SMALL, NO_TRIALS, "budget.minutes=1.5", "training.epochs=4"],
}
"""Searches by name; of those with a time as their budget, the number of trials is compared."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's Parquet files")
    parser.add_argument("--rows", type=Path, default=Path("estimates.jsonl"))
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    rows = read_rows(given.rows)
    for name, words in SEARCHES.items():
        if name not in rows and (not given.only or name in given.only):
            rows[name] = compared(name, words, given.data.resolve(), given.seconds)
            with given.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[name]) + "\n")
    report(rows)


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def compared(name: str, words: Sequence[str], data: Path, seconds: float) -> dict[str, Any]:
    """Estimate a search, run it, and return both."""
    overrides = [*words, "tracking=none", *([f"data.path={data}"] if "data=cifar10" in words else [])]
    quantity = "trials" if any(word.startswith("budget.minutes") for word in words) else "seconds"
    with tempfile.TemporaryDirectory() as folder:
        place = [f"outputs={folder}"]
        load = os.getloadavg()[0]
        said = nas("estimate", *overrides, *place, f"seconds={seconds:g}", "format=json")
        estimate = json.loads(said)
        began = time.perf_counter()
        nas("search", *overrides, *place, "study=searched", "format=json")
        took = time.perf_counter() - began
        status = json.loads(nas("status", "study=searched", *place, "format=json"))
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 2**20
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
    trials = status["trials"]["complete"] + status["trials"]["pruned"]
    true = {"seconds": took, "trials": trials, "training_seconds": status["seconds"], "disk_mib": disk}
    return {"name": name, "quantity": quantity, "load": load, "estimate": estimate, "true": true}


def nas(*words: str) -> str:
    ended = subprocess.run([sys.executable, "-m", "nas", *words], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"nas {' '.join(words)}: {ended.stderr}")
    return ended.stdout


def inside(row: Mapping[str, Any], quantity: str) -> bool:
    """Return whether the true number lies in the stated range."""
    stated = row["estimate"][quantity]
    return bool(stated["low"] <= row["true"][quantity] <= stated["high"])


def report(rows: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("search", "quantity", "stated", "true", "inside", "high/low", "disk inside", "load")
    for name, row in rows.items():
        quantity = row["quantity"]
        stated = row["estimate"][quantity]
        width = stated["high"] / max(stated["low"], 1e-9)
        numbers = [f"{stated['low']:.0f} to {stated['high']:.0f}", f"{row['true'][quantity]:.0f}"]
        held = ["yes" if inside(row, each) else "no" for each in (quantity, "disk_mib")]
        table.add_row(name, quantity, *numbers, held[0], f"{width:.2f}", held[1], f"{row['load']:.1f}")
    console = Console()
    console.print(table)
    if rows:
        count = sum(inside(row, row["quantity"]) for row in rows.values())
        widths = [
            row["estimate"][r]["high"] / row["estimate"][r]["low"] for row in rows.values() if (r := row["quantity"])
        ]
        console.print(f"{count} of {len(rows)} inside; median high/low {statistics.median(widths):.2f}")
    console.print(
        f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
