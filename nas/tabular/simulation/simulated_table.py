"""Table with the settings of a simulation: slots, and the seconds that an epoch is charged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

from nas.jobs import Curve, curve_seconds
from nas.objectives.limits import Limits
from nas.tabular.simulation.benchmark import TrueNetwork
from nas.tabular.simulation.executor import CurveLookup
from nas.tabular.table import Entry, Table, read_table
from search_space.identity import canonical_json
from search_space.space import Space

CHARGES = ("seconds", "cpu_seconds")


@final
@dataclass(frozen=True)
class SimulatedTable:
    """Table in which searches are simulated: a benchmark with as many worlds as the table has seeds.

    Attributes:
        table: the recorded trainings of a whole space.
        slots: number of simulated slots, at least 1.
        charge: column that an epoch costs on the simulated clock, `seconds` or `cpu_seconds`.
    """

    table: Table
    slots: int = 1
    charge: str = "seconds"

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"slots must be at least 1, got {self.slots}")
        if self.charge not in CHARGES:
            raise ValueError(f"charge must be one of {', '.join(CHARGES)}, got {self.charge!r}")
        if self.table.is_sample:
            raise ValueError(
                f"table must hold a whole space, {self.table.path} has a sample; surrogate=FILE plays on it"
            )

    @property
    def path(self) -> Path:
        """File of the table."""
        return self.table.path

    @property
    def hash(self) -> str:
        """SHA-256 of the file."""
        return self.table.hash

    @property
    def space(self) -> Space:
        """Space of the table."""
        return self.table.space

    @property
    def epochs(self) -> int:
        """Number of epochs of a full training."""
        return self.table.epochs

    @property
    def validation_images(self) -> int:
        """Number of images behind a validation accuracy."""
        return int(self.table.attrs["val_images"])

    @property
    def repeats(self) -> int:
        """Largest number of repeats of a training: each has a seed of the table of its own."""
        return len(self.table.seeds) - 1

    @property
    def worlds(self) -> tuple[int, ...]:
        """Seeds of the table."""
        return self.table.seeds

    def world(self, seed: int) -> int:
        """Return the seed of the table that a search sees: its own modulo their number, so that none is favoured."""
        return self.table.seeds[seed % len(self.table.seeds)]

    def curve(self, entry: Entry, seed: int) -> Curve:
        """Return the learning curve of an architecture with the seconds that are charged."""
        curve = entry.curves[seed]
        if self.charge == "seconds":
            return curve
        return tuple(replace(row, seconds=spent) for row, spent in zip(curve, entry.cpu_seconds[seed], strict=True))

    def training_seconds(self, entry: Entry) -> float:
        """Return the charged seconds of a full training of an architecture, averaged over the seeds."""
        totals = [curve_seconds(self.curve(entry, seed)) for seed in self.table.seeds]
        return math.fsum(totals) / len(totals)

    def full_training(self) -> float:
        """Return the seconds of one full-training equivalent: `training_seconds` averaged over all architectures."""
        entries = self.table.entries.values()
        return math.fsum(self.training_seconds(entry) for entry in entries) / len(entries)

    def curve_lookup(self, table_seed: int) -> CurveLookup:
        """Return the function that finds the learning curve of a job.

        It takes an architecture in JSON form and the number of the repeat. Repeat i has the table's i-th seed after
        `table_seed`, cyclically.
        """
        seeds = self.table.seeds
        first = seeds.index(table_seed)
        entries = {canonical_json(entry.architecture.to_json()): entry for entry in self.table.entries.values()}

        def look_up(architecture: Mapping[str, object], repeat: int) -> Curve:
            entry = entries.get(canonical_json(dict(architecture)))
            if entry is None:
                raise ValueError(f"an architecture must be in the table {self.table.path}, got {dict(architecture)}")
            return self.curve(entry, seeds[(first + repeat) % len(seeds)])

        return look_up

    def true_networks(self, limits: Limits) -> Mapping[str, TrueNetwork]:
        """Return the networks of the table within limits, by identity of the architecture.

        Raises:
            ValueError: a limit on an unknown cost.
        """
        entries = self.table.entries
        limits.checked(next(iter(entries.values())).costs)
        return {
            name: TrueNetwork(entry.costs, 1.0 - entry.test_accuracy, self.training_seconds(entry))
            for name, entry in entries.items()
            if limits.meets(entry.costs)
        }

    def last_accuracies(self, names: Iterable[str], world: int) -> Mapping[str, float]:
        """Return the last validation accuracy of some architectures with a seed, by identity."""
        rows = {name: self.table.entries[name].curves[world][-1] for name in names}
        return {name: row.val_accuracy for name, row in rows.items() if row.val_accuracy is not None}

    def judged(self, architectures: Iterable[Mapping[str, Any]]) -> Mapping[str, Mapping[str, float]]:  # noqa: ARG002
        """Return nothing: `true_networks` has every architecture."""
        return {}

    def opener(self) -> Callable[[], SimulatedTable]:
        """Return a picklable function that reads the table in another process."""
        return partial(open_table, self.table.path, self.slots, self.charge)

    def about(self) -> dict[str, Any]:
        """Return the table's description as a JSON object."""
        return {
            "path": str(self.table.path),
            "hash": self.table.hash,
            "space": self.table.space.name,
            "architectures": len(self.table.entries),
            "seeds": list(self.table.seeds),
            "epochs": self.table.epochs,
        }


def open_table(path: Path, slots: int, charge: str) -> SimulatedTable:
    """Read a table for simulations."""
    return SimulatedTable(read_table(path), slots, charge)
