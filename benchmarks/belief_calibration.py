"""Calibration of the belief about trained networks, on tables whose truth is known.

For networks that a search has trained, the program compares the probability of being on their front with the share of
them that is, by the mean test accuracy over the table's seeds, and counts how often the intervals hold that accuracy.
Searches are simulated; each is looked at after some numbers of trainings.

    python benchmarks/belief_calibration.py [--tables digits cifar16] [--seeds 12] [--trainings 15 40 100]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.jobs import curve_seconds
from nas.objectives.axes import axes_of
from nas.objectives.pareto import front
from nas.objectives.values import cost_names, objective_values
from nas.search.threads import single_threaded_blas
from nas.study.belief import Believed
from nas.study.belief.stored import believer_for
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record, State
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.table import Entry, read_table

TABLES = Path(__file__).resolve().parent / "tables"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tables", nargs="+", default=["digits", "cifar16"])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--trainings", type=int, nargs="+", default=[15, 40, 100])
    arguments = parser.parse_args()
    for name in arguments.tables:
        simulated = SimulatedTable(read_table(TABLES / f"{name}.parquet"), charge="cpu_seconds")
        for sampler in SAMPLERS:
            found = list(_judged(simulated, sampler, arguments))
            print(f"{name}, {sampler}: {len(found)} networks of {arguments.seeds} searches")
            for line in table(found):
                print(f"  {line}")


def _judged(simulated: SimulatedTable, sampler: str, arguments: argparse.Namespace) -> Iterator[Judged]:
    config = compose("rehearse", [f"sampler={sampler}", "fidelity=full"])
    most = max(arguments.trainings)
    config = replace(config, budget=Budget(trials=most, trainings=10.0 * most))
    axes = axes_of(config.objective, simulated.space)
    for seed in range(arguments.seeds):
        with single_threaded_blas():
            trace = simulate(replace(config, seed=seed), simulated)
        entries = [simulated.table.entries[trial.id] for trial in trace.trials if trial.state == State.COMPLETE]
        for count in arguments.trainings:
            records = [_record(number, entry, trace.table_seed, config) for number, entry in enumerate(entries[:count])]
            believer = believer_for(simulated.space, axes, cost_names(config.objective), simulated.validation_images)
            yield from _compare(entries[:count], believer.beliefs(records))


def _record(number: int, entry: Entry, seed: int, config: object) -> Record:
    curve = entry.curves[seed]
    candidate = Candidate(
        number, {}, {}, entry.architecture.to_json(), entry.id, entry.network_id, entry.summary, entry.costs, 0
    )
    values = objective_values(config.objective, curve, entry.costs)  # type: ignore[attr-defined]  # of the command
    state = TrainingState(seconds=curve_seconds(curve))
    return Record(number, State.COMPLETE, candidate, curve, state, values, None)


def _compare(entries: Sequence[Entry], beliefs: Mapping[int, Believed]) -> Iterator[Judged]:
    points = np.array([[1.0 - entry.test_accuracy, entry.costs["macs"]] for entry in entries])
    members = set(front(points))
    for number, belief in beliefs.items():
        ((low, high),) = belief.intervals.values()
        accuracy = entries[number].test_accuracy
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
