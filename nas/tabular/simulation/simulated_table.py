"""Table with the settings of a simulation: slots, and the seconds that an epoch is charged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nas.jobs import Curve, curve_seconds
from nas.tabular.simulation.executor import CurveLookup
from nas.tabular.table import Entry, Table
from search_space.identity import canonical_json

CHARGES = ("seconds", "cpu_seconds")


@dataclass(frozen=True)
class SimulatedTable:
    """Table in which searches are simulated.

    Attributes:
        table: the recorded trainings.
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
