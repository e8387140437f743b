"""A table of learning curves, read and checked."""

from __future__ import annotations

import io
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import pandas as pd
import pyarrow

from nas.jobs import Curve, Epoch, curve_seconds
from nas.jobs.files import atomic_path
from nas.jobs.hashes import content_hash
from nas.tabular.check import check
from nas.tabular.columns import KEY, TableError
from search_space.architecture import Architecture
from search_space.space import Space

CURVE = ("epoch", "train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy", "seconds")
COSTS = ("params", "macs", "memory_mib")


@final
@dataclass(frozen=True, eq=False)
class Entry:
    """What a table says of one architecture.

    Attributes:
        architecture: the architecture.
        id: its identity.
        network_id: identity of its network.
        summary: one readable line.
        costs: `params`, `macs`, `memory_mib`.
        curves: the learning curve of each seed, as a search would have seen it.
        test: the test accuracy after each epoch of each seed.
        cpu_seconds: processor seconds of each epoch of each seed.
    """

    architecture: Architecture
    id: str
    network_id: str
    summary: str
    costs: Mapping[str, float]
    curves: Mapping[int, Curve]
    test: Mapping[int, tuple[float, ...]]
    cpu_seconds: Mapping[int, tuple[float, ...]]

    @property
    def test_accuracy(self) -> float:
        """Mean over the seeds of the test accuracy at the end of the full horizon: the truth about this network."""
        return statistics.fmean(accuracies[-1] for accuracies in self.test.values())

    @property
    def seconds(self) -> float:
        """Mean over the seeds of the seconds of a full training."""
        return statistics.fmean(curve_seconds(curve) for curve in self.curves.values())


@final
@dataclass(frozen=True, eq=False)
class Table:
    """Learning curves of every architecture of a space.

    Attributes:
        path: the file.
        hash: SHA-256 of the file.
        attrs: the metadata.
        space: the space that is enumerated.
        entries: what there is on each architecture, by its id, in the order of the file.
    """

    path: Path
    hash: str
    attrs: Mapping[str, Any]
    space: Space
    entries: Mapping[str, Entry]

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """Every architecture."""
        return tuple(entry.architecture for entry in self.entries.values())

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the trainings."""
        return tuple(self.attrs["seeds"])

    @property
    def epochs(self) -> int:
        """The full horizon."""
        return int(self.attrs["epochs"])

    def entry(self, identity: str) -> Entry:
        """What there is on the architecture or network of that identity.

        Raises:
            TableError: there is none.
        """
        found = self.entries.get(identity) or self._by_network.get(identity)
        if found is None:
            raise TableError(f"a network must be in the table, {identity} is not in {self.path}")
        return found

    def curve(self, identity: str, seed: int) -> Curve:
        """The learning curve of an architecture or network with a seed.

        Raises:
            TableError: there is none.
        """
        curves = self.entry(identity).curves
        if seed not in curves:
            raise TableError(f"seed must be one of {', '.join(map(str, curves))}, got {seed} with {self.path}")
        return curves[seed]

    @cached_property
    def mean_seconds(self) -> float:
        """Mean seconds of a full training, over all architectures and seeds."""
        return statistics.fmean(entry.seconds for entry in self.entries.values())

    @cached_property
    def _by_network(self) -> dict[str, Entry]:
        return {entry.network_id: entry for entry in self.entries.values()}


def read_table(path: Path) -> Table:
    """The table in a file, whole and checked.

    Raises:
        TableError: it is no Parquet file, or what it holds can't be relied on; the message names the row.
        OSError: it can't be read.
    """
    content = path.read_bytes()
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except pyarrow.ArrowException as error:
        raise TableError(f"a table must be a whole Parquet file, {path} is not: {error}") from error
    try:
        space = check(frame, frame.attrs)
    except TableError as error:
        raise TableError(f"{error}, in {path}") from None
    entries = {entry.id: entry for entry in _entries(frame, len(frame.attrs["seeds"]), int(frame.attrs["epochs"]))}
    return Table(path, content_hash([content]), dict(frame.attrs), space, entries)


def _entries(frame: pd.DataFrame, seeds: int, epochs: int) -> Iterator[Entry]:
    """What there is on each architecture; the rows are complete and sorted, so that they are cut by counting."""
    column = {name: frame[name].tolist() for name in frame.columns}
    rows = [Epoch(*row) for row in zip(*(column[name] for name in CURVE), strict=True)]
    for first in range(0, len(frame), seeds * epochs):
        starts = range(first, first + seeds * epochs, epochs)
        cuts = {column["seed"][start]: slice(start, start + epochs) for start in starts}
        yield Entry(
            architecture=Architecture.from_json(json.loads(column["architecture"][first])),
            id=column["id"][first],
            network_id=column["network_id"][first],
            summary=column["summary"][first],
            costs={name: column[name][first] for name in COSTS},
            curves={seed: tuple(rows[cut]) for seed, cut in cuts.items()},
            test={seed: tuple(column["test_accuracy"][cut]) for seed, cut in cuts.items()},
            cpu_seconds={seed: tuple(column["cpu_seconds"][cut]) for seed, cut in cuts.items()},
        )


def write_table(frame: pd.DataFrame, attributes: Mapping[str, Any], path: Path) -> None:
    """Write rows and metadata as a table, which is checked first and whole before it bears its name.

    Raises:
        TableError: the rows are no table; nothing is written then.
    """
    ordered = frame.sort_values(list(KEY), kind="stable").reset_index(drop=True)
    check(ordered, attributes)
    write_parquet(ordered, attributes, path)


def write_parquet(frame: pd.DataFrame, attributes: Mapping[str, Any], path: Path) -> None:
    """Write rows and metadata as a Parquet file, which is whole before it bears its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = frame.copy(deep=False)
    frame.attrs = dict(attributes)
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")
