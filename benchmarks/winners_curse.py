"""Bias of the accuracies of a front: as the search measured them, and as the belief corrects them.

Searches are simulated on tables whose networks were trained with several seeds. A search sees the trainings of one
seed; the true accuracy of a network is the mean over the other seeds, which no search saw: on the same validation
part, so that luck of the seed is the only difference, and on the test part, less the mean difference between both
parts over all networks of the table, so that luck of the validation images counts too. A bias is in points of
accuracy, the mean over searches of the mean over a front, with the 95 % interval of Student's t over the searches.

    python benchmarks/winners_curse.py [--tables digits cifar16] [--searches 24] [--trainings 60] [--rows FILE]

With --rows, finished searches are kept in a file and not repeated. Takes about 3 s a search.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.jobs import curve_seconds
from nas.objectives.axes import axes_of
from nas.objectives.values import cost_names, objective_values
from nas.search.threads import single_threaded_blas
from nas.study.belief import Believer
from nas.study.belief.stored import believer_for
from nas.study.intervals import student_reach
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record, State
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.table import Entry, read_table

TABLES = Path(__file__).resolve().parent / "tables"
MEASURED, KEPT, CORRECTED = "front as measured", "believed front, as measured", "believed front, corrected"
TRUTHS = ("validation part", "test part")
Truth = Callable[[Entry], tuple[float, ...]]


@dataclass(frozen=True)
class Arm:
    """Front of one search with the accuracies that are said of its networks.

    Attributes:
        name: the kind of front and of accuracies.
        members: the networks.
        said: their accuracies, in [0, 1].
    """

    name: str
    members: Sequence[Entry]
    said: Sequence[float]

    def biases(self, truth: Truth) -> dict[str, float]:
        """Return the mean of what is said less what is true, by the part that truth was measured on."""
        found = [truth(entry) for entry in self.members]
        return {
            part: statistics.fmean(said - true[place] for said, true in zip(self.said, found, strict=True))
            for place, part in enumerate(TRUTHS)
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tables", nargs="+", default=["digits", "cifar16"])
    parser.add_argument("--searches", type=int, default=24)
    parser.add_argument("--trainings", type=int, default=60)
    parser.add_argument("--sampler", default="known_cost")
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, numpy {version('numpy')}, load {os.getloadavg()[0]:.1f}")
    for name in given.tables:
        simulated = SimulatedTable(read_table(TABLES / f"{name}.parquet"), charge="cpu_seconds")
        rows = list(searched(name, simulated, given))
        members = statistics.fmean(row[CORRECTED]["members"] for row in rows)
        print(f"{name}, {given.sampler}: {len(rows)} searches of {given.trainings} trainings, {members:.1f} on a front")
        for line in table(rows):
            print(f"  {line}")


def searched(name: str, simulated: SimulatedTable, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the row of each search, of the file of rows where it has it."""
    known = kept_rows(given.rows)
    for seed in range(given.searches):
        key = f"{name} {given.sampler} {given.trainings} {seed}"
        if key not in known:
            known[key] = searched_once(simulated, given.sampler, given.trainings, seed)
            if given.rows is not None:
                with given.rows.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, **known[key]}) + "\n")
        yield known[key]


def kept_rows(path: Path | None) -> dict[str, dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.is_file() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def searched_once(simulated: SimulatedTable, sampler: str, trainings: int, seed: int) -> dict[str, Any]:
    """Simulate one search and return the biases of its fronts."""
    config = compose("rehearse", [f"sampler={sampler}", "fidelity=full", f"seed={seed}"])
    config = replace(config, budget=Budget(trials=trainings, trainings=10.0 * trainings))
    with single_threaded_blas():
        trace = simulate(config, simulated)
    entries = [simulated.table.entries[trial.id] for trial in trace.trials if trial.state == State.COMPLETE]
    records = [record_of(number, entry, trace.table_seed, config) for number, entry in enumerate(entries)]
    axes = axes_of(config.objective, simulated.space)
    believer = believer_for(simulated.space, axes, cost_names(config.objective), simulated.validation_images)
    truth = truth_without(simulated, trace.table_seed)
    found = arms(entries, records, believer)
    return {arm.name: {"members": len(arm.members), **arm.biases(truth)} for arm in found}


def arms(entries: Sequence[Entry], records: Sequence[Record], believer: Believer) -> list[Arm]:
    """Return the fronts of a search, with what is said of them."""
    measured = [record.number for record in Believer.of_measured(believer.axes).front(records)]
    believed = [record.number for record in believer.front(records)]
    beliefs = believer.beliefs(records)
    raw = [accuracy(record) for record in records]
    return [
        Arm(MEASURED, [entries[n] for n in measured], [raw[n] for n in measured]),
        Arm(KEPT, [entries[n] for n in believed], [raw[n] for n in believed]),
        Arm(CORRECTED, [entries[n] for n in believed], [beliefs[n].means["val_accuracy"] for n in believed]),
    ]


def accuracy(record: Record) -> float:
    assert record.values is not None
    return record.values["val_accuracy"]


def truth_without(simulated: SimulatedTable, seed: int) -> Truth:
    """Return the function of an entry that returns its true accuracy by part, from all seeds but one."""
    others = [other for other in simulated.table.seeds if other != seed]

    def mean(entry: Entry) -> tuple[float, float]:
        validation = [entry.curves[other][-1].val_accuracy or 0.0 for other in others]
        return statistics.fmean(validation), statistics.fmean(entry.test[other][-1] for other in others)

    pairs = [mean(entry) for entry in simulated.table.entries.values()]
    easier = statistics.fmean(validation - test for validation, test in pairs)

    def truth(entry: Entry) -> tuple[float, ...]:
        validation, test = mean(entry)
        return validation, test + easier

    return truth


def record_of(number: int, entry: Entry, seed: int, config: Any) -> Record:
    curve = entry.curves[seed]
    candidate = Candidate(
        number, {}, {}, entry.architecture.to_json(), entry.id, entry.network_id, entry.summary, entry.costs, 0
    )
    values = objective_values(config.objective, curve, entry.costs)
    return Record(number, State.COMPLETE, candidate, curve, TrainingState(seconds=curve_seconds(curve)), values, None)


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each kind of front: the bias by part, in points, with its interval."""
    width = max(map(len, rows[0]))
    lines = []
    for name in [name for name in rows[0] if name != "key"]:
        said = (f"{part} {bias([row[name][part] for row in rows])}" for part in TRUTHS)
        lines.append(f"{name:<{width}}  {'   '.join(said)}")
    return lines


def bias(values: Sequence[float]) -> str:
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    return f"{100 * mean:+.2f} ± {100 * student_reach(deviation, len(values), 0.95):.2f}"


if __name__ == "__main__":
    main()
