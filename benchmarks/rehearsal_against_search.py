"""Agreement of simulated searches with real ones, and their cost.

A small table is trained on this machine. Then real searches over its space, data and recipe on one slot are compared
with simulated ones of the same seeds: both must ask for the same networks in the same order and train the same epochs
to the same accuracies. The output has the ratio of the seconds of the real trainings to those in the table and, as a
measure of noise, the largest such ratio between two seeds of the table. Last is the cost of a simulated search of a
hundred full trainings on the tables of benchmarks/tables.

    python benchmarks/rehearsal_against_search.py [--trials 12] [--seeds 0 1]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table as Printed

from nas.cli import main as nas
from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.study.study import open_study
from nas.study.trial import Record
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.table import Table, read_table

TABLES = Path(__file__).resolve().parent / "tables"
SPACE = """
name: few
stem: {width: [4, 8], stride: [1, 2]}
stages:
  - depth: 1
    block: {branches: {k1: {width: [0, 8]}, k3: {width: [4, 8], factorization: [full, separable]}}}
"""  # 32 architectures
WORDS = ("data=digits", "training.epochs=6", "workers.slots=1", "space=few")
STRATEGIES = (("random", "full"), ("tpe", "full"), ("evolution", "first_epoch"))
TRAININGS = 100


@dataclass(frozen=True)
class Comparison:
    """Comparison of a real search with a simulated one.

    Attributes:
        name: of the strategy.
        seed: of both searches.
        trials: number of trials of the real search.
        alike: number of trials that are equal in network, epochs and accuracies.
        ratio: seconds of the real trainings over those in the table.
    """

    name: str
    seed: int
    trials: int
    alike: int
    ratio: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "space").mkdir()
        (folder / "space" / "few.yaml").write_text(SPACE, encoding="utf-8")
        words = [f"--config-dir={folder}", *WORDS]
        output = folder / "few.parquet"
        nas(["tabulate", *words, f"seeds={max(arguments.seeds) + 1}", f"output={output}"])
        table = read_table(output)
        words.append(f"budget.trials={arguments.trials}")
        found = [_compare(table, name, seed, words) for name in STRATEGIES for seed in arguments.seeds]
    _print(found, _noise(table))


def _compare(table: Table, strategy: tuple[str, str], seed: int, words: Sequence[str]) -> Comparison:
    chosen = [f"sampler={strategy[0]}", f"fidelity={strategy[1]}", f"seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        nas(["search", *words, *chosen, "tracking=none", f"study={study}"])
        records = open_study(study).records()
    config = replace(compose("rehearse", chosen), budget=Budget(trials=len(records)))
    expected = [(trial.id, trial.state, trial.epochs) for trial in simulate(config, SimulatedTable(table)).trials]
    pairs = zip(records, expected, strict=True)
    same = [_decision(record) == decision and _has_recorded_curve(record, table, seed) for record, decision in pairs]
    ratio = sum(record.seconds for record in records) / _recorded(records, table, seed)
    return Comparison(", ".join(strategy), seed, len(records), sum(same), ratio)


def _noise(table: Table) -> float:
    """Return the largest ratio between two seeds of the seconds of all networks."""
    totals = [sum(row.seconds for entry in table.entries.values() for row in entry.curves[s]) for s in table.seeds]
    return max(totals) / min(totals)


def _cost(path: Path, sampler: str) -> float:
    """Return the processor seconds of a simulated search of a hundred full trainings."""
    config = compose("rehearse", [f"sampler={sampler}", "fidelity=full"])
    config = replace(config, budget=Budget(trials=None, trainings=TRAININGS))
    simulated = SimulatedTable(read_table(path))
    began = time.process_time()
    simulate(config, simulated)
    return time.process_time() - began


def _decision(record: Record) -> tuple[str, str, int]:
    return record.candidate.id, record.state, len(record.curve)


def _has_recorded_curve(record: Record, table: Table, seed: int) -> bool:
    recorded = table.curve(record.candidate.id, seed)
    return [row.val_accuracy for row in record.curve] == [row.val_accuracy for row in recorded[: len(record.curve)]]


def _recorded(records: Sequence[Record], table: Table, seed: int) -> float:
    """Return the seconds in the table of the epochs that a search trained."""
    curves = [(table.curve(record.candidate.id, seed), len(record.curve)) for record in records]
    return sum(row.seconds for curve, epochs in curves for row in curve[:epochs])


def _print(found: Sequence[Comparison], noise: float) -> None:
    printed = Printed(title="Real searches against simulated ones")
    for heading in ("strategy", "seed", "alike", "seconds, real by table"):
        printed.add_column(heading, justify="left" if heading == "strategy" else "right")
    for each in found:
        printed.add_row(each.name, str(each.seed), f"{each.alike} of {each.trials}", f"{each.ratio:.3f}")
    console = Console()
    console.print(printed)
    ratios = [each.ratio for each in found]
    console.print(
        f"Median ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}); "
        f"between two seeds of the table {noise:.3f}"
    )
    for path in sorted(TABLES.glob("*.parquet")):
        costs = {name: _cost(path, name) for name in ("random", "tpe")}
        costs_text = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in costs.items())
        console.print(f"A simulated search of {TRAININGS} full trainings on {path.stem}: {costs_text} of one core")
    console.print(
        f"Python {platform.python_version()}, torch {version('torch')}, optuna {version('optuna')}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
