"""Training of one network for a table, and the file of its rows."""

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
    """Training of one network with one seed.

    Attributes:
        number: of the task, from 0.
        network_id: identity of the network.
        architecture: JSON form of one of its architectures.
        table_seed: seed in the table: 0, 1, 2, ...
        seed: seed of the training, derived from network and table seed.
        epochs: of a full training.
        folder: of its checkpoints, its log and its rows.
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
        """Network and seed, as messages name them."""
        return f"network {self.network_id} seed {self.table_seed}"

    @property
    def devices(self) -> int:
        """Number of devices of the training: 1, since the networks are small and many."""
        return 1

    @property
    def done(self) -> bool:
        """True if the network is trained in full and tested after every epoch."""
        return len(read_rows(self.folder)) == self.epochs

    def rows(self) -> list[dict[str, Any]]:
        """Return the training's rows in the form of a shard."""
        named = {"network_id": self.network_id, "seed": self.table_seed}
        return [{**named, **row} for row in read_rows(self.folder)]


def read_rows(folder: Path) -> list[Row]:
    """Return the rows that a training has written so far, one an epoch.

    Raises:
        ValueError: the file holds no JSON object.
    """
    document = read_json(folder / ROWS_FILE)
    return [] if document is None else list(document["rows"])


def write_rows(folder: Path, rows: list[Row]) -> None:
    """Write the rows of a training so far."""
    write_json(folder / ROWS_FILE, {"rows": rows})
