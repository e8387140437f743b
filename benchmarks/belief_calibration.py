"""Calibration of the belief about trained networks, on tables and surrogates, whose truth is known.

For networks that a search has trained, the program compares the probability of being on their front with the share of
them that is, by the mean test accuracy over seeds, and counts how often the intervals hold that accuracy. Searches are
simulated; each is looked at after some numbers of trainings. A table has as many worlds as seeds of its trainings, and
one draw of validation and test images for all its networks: if the one part happens to be harder than the other, every
interval is off in the same direction. So each is listed three times: as it is, with the parts in each other's place,
and both together. In a surrogate each seed is a world of its own.

    python benchmarks/belief_calibration.py [--tables digits cifar16] [--surrogates FILE ...] [--seeds 12]
        [--trainings 15 40 100]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.jobs import Curve, curve_seconds
from nas.objectives.axes import axes_of
from nas.objectives.limits import Limits
from nas.objectives.pareto import front
from nas.objectives.requirements import Requirements
from nas.objectives.values import cost_names, objective_values
from nas.search.threads import single_threaded_blas
from nas.study.belief import Believed
from nas.study.belief.stored import believer_for
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record, State
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.executor import CurveLookup
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.surrogate.benchmark import SurrogateBenchmark
from nas.tabular.surrogate.model import Surrogate
from nas.tabular.table import Table, read_table
from search_space.architecture import Architecture

TABLES = Path(__file__).resolve().parent / "tables"
CHARGE = "cpu_seconds"
SAMPLERS = ("known_cost", "tpe")
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True)
class Judged:
    """Belief about one trained network, and the truth.

    Attributes:
        probability: believed probability of being on the front of the trained networks.
        member: whether it is on that front by its mean test accuracy.
        held: whether the interval holds the mean test accuracy.
    """

    probability: float
    member: bool
    held: bool

    @property
    def near(self) -> bool:
        """True if the network may be on the front."""
        return self.probability > 0.05


class Watched:
    """Benchmark that notes the trainings of a search, in order."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.trainings: list[tuple[Mapping[str, Any], Curve]] = []
        self._benchmark = benchmark

    def __getattr__(self, name: str) -> Any:
        return getattr(self._benchmark, name)

    def curve_lookup(self, world: int) -> CurveLookup:
        """Return the function that finds and notes the learning curve of a job."""
        find = self._benchmark.curve_lookup(world)

        def look_up(architecture: Mapping[str, Any], repeat: int) -> Curve:
            curve = find(architecture, repeat)
            self.trainings.append((architecture, curve))
            return curve

        return look_up


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tables", nargs="*", default=["digits", "cifar16"])
    parser.add_argument("--surrogates", nargs="*", type=Path, default=[])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--trainings", type=int, nargs="+", default=[15, 40, 100])
    arguments = parser.parse_args()
    for name, benchmark, other in _benchmarks(arguments):
        for sampler in SAMPLERS:
            found = list(_judged(benchmark, sampler, arguments))
            _list(f"{name}, {sampler}", found)
            exchanged = list(_judged(other, sampler, arguments))
            _list(f"{name}, parts swapped, {sampler}", exchanged)
            _list(f"{name}, both, {sampler}", found + exchanged)


def _list(title: str, found: Sequence[Judged]) -> None:
    print(f"{title}: {len(found)} networks")
    for line in table(found):
        print(f"  {line}", flush=True)


def _benchmarks(arguments: argparse.Namespace) -> Iterator[tuple[str, Benchmark, Benchmark]]:
    """Yield the title of each table and surrogate, its benchmark, and that of the swapped parts."""
    for name in arguments.tables:
        table = read_table(TABLES / f"{name}.parquet")
        yield name, SimulatedTable(table, 1, CHARGE), SimulatedTable(swapped(table), 1, CHARGE)
    for path in arguments.surrogates:
        table = read_table(path)
        plain, other = (SurrogateBenchmark(Surrogate(each, CHARGE)) for each in (table, swapped(table)))
        yield f"surrogate of {path.stem}", plain, other


def swapped(table: Table) -> Table:
    """Return the table with the accuracies and the sizes of the validation and the test part swapped."""
    attrs = {**table.attrs, "val_images": table.attrs["test_images"], "test_images": table.attrs["val_images"]}
    entries = {}
    for name, entry in table.entries.items():
        curves = {
            seed: tuple(replace(epoch, val_accuracy=test) for epoch, test in zip(curve, entry.test[seed], strict=True))
            for seed, curve in entry.curves.items()
        }
        tests = {seed: tuple(epoch.val_accuracy or 0.0 for epoch in curve) for seed, curve in entry.curves.items()}
        entries[name] = replace(entry, curves=curves, test=tests)
    return replace(table, attrs=attrs, entries=entries, hash=f"{table.hash}-swapped")


def _judged(benchmark: Benchmark, sampler: str, arguments: argparse.Namespace) -> Iterator[Judged]:
    config = compose("rehearse", [f"sampler={sampler}", "fidelity=full"])
    most = max(arguments.trainings)
    config = replace(config, budget=Budget(trials=most, trainings=10.0 * most))
    axes = axes_of(config.objective, benchmark.space)
    for seed in range(arguments.seeds):
        watched = Watched(benchmark)
        with single_threaded_blas():
            simulate(replace(config, seed=seed), watched)
        records = [_record(number, *training, config) for number, training in enumerate(watched.trainings)]
        errors = _errors(benchmark, records)
        for count in arguments.trainings:
            believer = believer_for(benchmark.space, axes, cost_names(config.objective), benchmark.validation_images)
            yield from _compare(records[:count], errors, believer.beliefs(records[:count]))


def _record(number: int, document: Mapping[str, Any], curve: Curve, config: Any) -> Record:
    examined = Requirements().examine(Architecture.from_json(dict(document)))
    name = examined.architecture.id
    candidate = Candidate(number, {}, {}, dict(document), name, examined.network_id, name, examined.costs, 0)
    values = objective_values(config.objective, curve, examined.costs)
    return Record(number, State.COMPLETE, candidate, curve, TrainingState(seconds=curve_seconds(curve)), values, None)


def _errors(benchmark: Benchmark, records: Sequence[Record]) -> Mapping[str, float]:
    """Return the true errors by identity of the architecture."""
    known = {name: network.error for name, network in benchmark.true_networks(Limits()).items()}
    judged = benchmark.judged([record.candidate.architecture for record in records])
    return {name: point["error"] for name, point in judged.items()} | known


def _compare(
    records: Sequence[Record], errors: Mapping[str, float], beliefs: Mapping[int, Believed]
) -> Iterator[Judged]:
    points = np.array([[errors[record.candidate.id], record.candidate.costs["macs"]] for record in records])
    members = set(front(points))
    for number, belief in beliefs.items():
        ((low, high),) = belief.intervals.values()
        accuracy = 1.0 - errors[records[number].candidate.id]
        yield Judged(belief.front_probability, number in members, low <= accuracy <= high)


def table(found: Sequence[Judged]) -> list[str]:
    """Return a line for each bin of probability, and one on the intervals."""
    lines = []
    for low, high in pairwise(BINS):
        inside = [each for each in found if low < each.probability <= high or (low == 0.0 == each.probability)]
        if inside:
            said = np.mean([each.probability for each in inside])
            true = np.mean([each.member for each in inside])
            lines.append(f"said {said:.2f}, true {true:.2f} (n={len(inside)}, off by {true - said:+.2f})")
    near = [each.held for each in found if each.near]
    held = [each.held for each in found]
    lines.append(f"intervals of 90 % hold {np.mean(held):.1%} of all, {np.mean(near):.1%} of those near the front")
    return lines


if __name__ == "__main__":
    main()
