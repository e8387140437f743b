"""One training of a table, and what it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.jobs.files import read_json, write_json

ROWS_FILE = "rows.json"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class NetworkTask:
    """One network with one seed.

    Attributes:
        number: of the task, from 0.
        network_id: identity of the network.
        architecture: JSON form of one of its architectures.
        table_seed: the seed as the table has it: 0, 1, 2, ...
        seed: the seed of the training, which follows from the two.
        epochs: the full horizon.
        folder: where its checkpoints, its log and its rows go.
    """

    number: int
    network_id: str
    architecture: Mapping[str, Any]
    table_seed: int
    seed: int
    epochs: int
    folder: Path

    @property
    def label(self) -> str:
        """Network and seed."""
        return f"network {self.network_id} seed {self.table_seed}"

    @property
    def devices(self) -> int:
        """One: the networks are small and many."""
        return 1

    @property
    def done(self) -> bool:
        """Whether it is trained in full and measured after every epoch."""
        return len(read_rows(self.folder)) == self.epochs

    def rows(self) -> list[dict[str, Any]]:
        """What it came to, as a shard has it."""
        named = {"network_id": self.network_id, "seed": self.table_seed}
        return [{**named, **row} for row in read_rows(self.folder)]


def read_rows(folder: Path) -> list[Row]:
    """The rows that a training has left so far, one an epoch.

    Raises:
        ValueError: the file holds something else.
    """
    document = read_json(folder / ROWS_FILE)
    return [] if document is None else list(document["rows"])


def write_rows(folder: Path, rows: list[Row]) -> None:
    """Leave the rows so far."""
    write_json(folder / ROWS_FILE, {"rows": rows})
