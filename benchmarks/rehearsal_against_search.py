"""Whether a rehearsal says what a real search does, and how long it takes to say it.

A small table is trained on this machine now, then searches over its space, data and recipe on one slot, each beside
its rehearsal with the same seed: they must ask for the same networks in the same order and train the same epochs to
the same accuracies. Told are the ratio of the seconds that the search's trainings took to those that the table has for
them and, as the noise that is there anyway, the largest ratio between two seeds of the table, of the seconds of all
networks. Last, what the rehearsal of a hundred full trainings costs on the tables of benchmarks/tables.

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
class Compared:
    """A search beside its rehearsal.

    Attributes:
        name: of the strategy.
        seed: of both.
        trials: of the search.
        alike: how many of them are the same, in order, with the same epochs and accuracies.
        ratio: seconds of the search's trainings by those in the table.
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


def _compare(table: Table, strategy: tuple[str, str], seed: int, words: Sequence[str]) -> Compared:
    chosen = [f"sampler={strategy[0]}", f"fidelity={strategy[1]}", f"seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        nas(["search", *words, *chosen, "tracking=none", f"study={study}"])
        records = open_study(study).records()
    config = replace(compose("rehearse", chosen), budget=Budget(trials=len(records)))
    expected = [(trial.id, trial.state, trial.epochs) for trial in simulate(config, SimulatedTable(table)).trials]
    pairs = zip(records, expected, strict=True)
    same = [_told(record) == told and _seen(record, table, seed) for record, told in pairs]
    ratio = sum(record.seconds for record in records) / _recorded(records, table, seed)
    return Compared(", ".join(strategy), seed, len(records), sum(same), ratio)


def _noise(table: Table) -> float:
    """Largest ratio between two seeds of the seconds that all networks took."""
    totals = [sum(row.seconds for entry in table.entries.values() for row in entry.curves[s]) for s in table.seeds]
    return max(totals) / min(totals)


def _cost(path: Path, sampler: str) -> float:
    """Processor seconds of one rehearsal of a hundred full trainings."""
    config = compose("rehearse", [f"sampler={sampler}", "fidelity=full"])
    config = replace(config, budget=Budget(trials=None, trainings=TRAININGS))
    simulated = SimulatedTable(read_table(path))
    began = time.process_time()
    simulate(config, simulated)
    return time.process_time() - began


def _told(record: Record) -> tuple[str, str, int]:
    return record.candidate.id, record.state, len(record.curve)


def _seen(record: Record, table: Table, seed: int) -> bool:
    recorded = table.curve(record.candidate.id, seed)
    return [row.val_accuracy for row in record.curve] == [row.val_accuracy for row in recorded[: len(record.curve)]]


def _recorded(records: Sequence[Record], table: Table, seed: int) -> float:
    """Seconds that the table has for what a search trained."""
    curves = [(table.curve(record.candidate.id, seed), len(record.curve)) for record in records]
    return sum(row.seconds for curve, epochs in curves for row in curve[:epochs])


def _print(found: Sequence[Compared], noise: float) -> None:
    printed = Printed(title="Searches beside their rehearsals")
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
        told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in costs.items())
        console.print(f"A rehearsal of {TRAININGS} full trainings on {path.stem}: {told} of one core")
    console.print(
        f"Python {platform.python_version()}, torch {version('torch')}, optuna {version('optuna')}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
