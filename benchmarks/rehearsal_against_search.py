"""Whether a rehearsal says what a real search does, and how long it takes to say it.

A real search over the space, data and recipe of a table, on one slot, and its rehearsal with the same seed: they must
ask for the same networks in the same order and train the same epochs to the same accuracies. Told are the ratio of the
seconds that the search's trainings took to those that the table has for them, for the clock and for the processor, and
what the rehearsal of a hundred full trainings costs. The table's own noise stands beside it: the ratio of the seconds
that two seeds of it took for the same networks.

    python benchmarks/rehearsal_against_search.py [--table digits] [--trials 20] [--seeds 0 1] [words for nas search]
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
from nas.config import compose
from nas.records import Record
from nas.rehearsal.play import Stage, play
from nas.specs import Budget
from nas.study import open_study
from nas.tables.table import Table, read_table

TABLES = Path(__file__).resolve().parent / "tables"
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
        noise: seconds of another seed of the table by those of this one, for the same networks.
        rehearsing: processor seconds of a rehearsal of a hundred full trainings.
    """

    name: str
    seed: int
    trials: int
    alike: int
    ratio: float
    noise: float
    rehearsing: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--table", default="digits")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("words", nargs="*", help="words for nas search beside the table's experiment")
    arguments = parser.parse_args()
    table = read_table(TABLES / f"{arguments.table}.parquet")
    words = [f"experiment=table_{arguments.table}", *arguments.words, f"budget.trials={arguments.trials}"]
    found = [_compare(table, strategy, seed, words) for strategy in STRATEGIES for seed in arguments.seeds]
    _print(found, arguments.table)


def _compare(table: Table, strategy: tuple[str, str], seed: int, words: Sequence[str]) -> Compared:
    chosen = [f"sampler={strategy[0]}", f"fidelity={strategy[1]}", f"seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        nas(["search", *words, *chosen, "workers.slots=1", "tracking=none", f"study={study}"])
        records = open_study(study).records()
    config = compose("rehearse", chosen)
    budget = Budget(trials=len([record for record in records if record.state != "failed"]))
    trace = play(replace(config, budget=budget), Stage(table))
    expected = [(trial.id, trial.state, trial.epochs) for trial in trace.trials]
    same = [
        _told(record) == told and _seen(record, table, seed) for record, told in zip(records, expected, strict=True)
    ]
    began = time.process_time()
    play(replace(config, budget=Budget(trials=None, trainings=TRAININGS)), Stage(table))
    rehearsing = time.process_time() - began
    other = next(each for each in table.seeds if each != seed)
    recorded = _recorded(records, table, seed)
    ratio, noise = sum(r.seconds for r in records) / recorded, _recorded(records, table, other) / recorded
    return Compared(", ".join(strategy), seed, len(records), sum(same), ratio, noise, rehearsing)


def _told(record: Record) -> tuple[str, str, int]:
    return record.candidate.id, record.state, len(record.curve)


def _seen(record: Record, table: Table, seed: int) -> bool:
    recorded = table.curve(record.candidate.id, seed)
    return [row.val_accuracy for row in record.curve] == [row.val_accuracy for row in recorded[: len(record.curve)]]


def _recorded(records: Sequence[Record], table: Table, seed: int) -> float:
    """Seconds that the table has for what a search trained."""
    curves = [(table.curve(record.candidate.id, seed), len(record.curve)) for record in records]
    return sum(row.seconds for curve, epochs in curves for row in curve[:epochs])


def _print(found: Sequence[Compared], name: str) -> None:
    printed = Printed(title=f"Searches beside their rehearsals on {name}")
    for heading in (
        "strategy",
        "seed",
        "alike",
        "seconds, real by table",
        "table's noise",
        f"{TRAININGS} trainings, s",
    ):
        printed.add_column(heading, justify="left" if heading == "strategy" else "right")
    for each in found:
        alike = f"{each.alike} of {each.trials}"
        numbers = [f"{each.ratio:.3f}", f"{each.noise:.3f}", f"{each.rehearsing:.2f}"]
        printed.add_row(each.name, str(each.seed), alike, *numbers)
    console = Console()
    console.print(printed)
    ratios = [each.ratio for each in found]
    console.print(
        f"Median ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}); "
        f"Python {platform.python_version()}, torch {version('torch')}, optuna {version('optuna')}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
