"""Table of learning curves of a whole space, or of a sample of one: reading and writing."""

from __future__ import annotations

import io
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, final

import pandas as pd
import pyarrow

from nas.jobs import Curve, Epoch, curve_seconds
from nas.jobs.files import atomic_path
from nas.jobs.hashes import content_hash
from nas.objectives.costs import built_in_costs
from nas.tabular.check import check_table
from nas.tabular.columns import KEY, SAMPLE, TableError
from search_space.architecture import Architecture
from search_space.space import Space

UNREADABLE = (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""Exceptions of pandas and Arrow on bytes, or on metadata of pandas, that are none."""

CURVE = ("epoch", "train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy", "seconds")


@final
@dataclass(frozen=True, eq=False)
class Entry:
    """Rows of one architecture in a table.

    Attributes:
        architecture: the architecture.
        id: identity of the architecture.
        network_id: identity of its network, which other architectures may share.
        summary: the architecture in one readable line.
        costs: exact costs by name.
        curves: learning curve by seed, with the values that a search sees.
        test: test accuracy after each epoch, by seed.
        cpu_seconds: processor seconds of each epoch, by seed.
        origin: portion of the sample that drew it; empty in a table of a whole space.
    """

    architecture: Architecture
    id: str
    network_id: str
    summary: str
    costs: Mapping[str, float]
    curves: Mapping[int, Curve]
    test: Mapping[int, tuple[float, ...]]
    cpu_seconds: Mapping[int, tuple[float, ...]]
    origin: str = ""

    @property
    def test_accuracy(self) -> float:
        """Test accuracy after the last epoch, averaged over the seeds: the ground truth of searches on the table."""
        return statistics.fmean(accuracies[-1] for accuracies in self.test.values())

    @property
    def seconds(self) -> float:
        """Seconds of a full training, averaged over the seeds."""
        return statistics.fmean(curve_seconds(curve) for curve in self.curves.values())


@final
@dataclass(frozen=True, eq=False)
class Table:
    """Learning curves of every architecture of a space, or of a sample of them.

    Attributes:
        path: the file.
        hash: SHA-256 of the file.
        attrs: the metadata.
        space: the space whose architectures, or some of them, the table holds.
        entries: rows by identity of the architecture, in the order of the file.
    """

    path: Path
    hash: str
    attrs: Mapping[str, Any]
    space: Space
    entries: Mapping[str, Entry]

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """Architectures in the order of the file."""
        return tuple(entry.architecture for entry in self.entries.values())

    @property
    def is_sample(self) -> bool:
        """True if the table holds some architectures of its space only."""
        return SAMPLE in self.attrs

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the trainings; in a sample not every architecture has all of them."""
        return tuple(self.attrs["seeds"])

    @property
    def epochs(self) -> int:
        """Number of epochs of a full training."""
        return int(self.attrs["epochs"])

    def entry(self, identity: str) -> Entry:
        """Return the rows of an architecture, by its identity or its network's.

        Raises:
            TableError: the table has no such identity.
        """
        found = self.entries.get(identity) or self._by_network.get(identity)
        if found is None:
            raise TableError(f"a network must be in the table, {identity} is not in {self.path}")
        return found

    def curve(self, identity: str, seed: int) -> Curve:
        """Return the learning curve of an architecture or network with a seed.

        Raises:
            TableError: the table has no such identity or seed.
        """
        curves = self.entry(identity).curves
        if seed not in curves:
            raise TableError(f"seed must be one of {', '.join(map(str, curves))}, got {seed} with {self.path}")
        return curves[seed]

    @cached_property
    def mean_seconds(self) -> float:
        """Seconds of a full training, averaged over all architectures and seeds."""
        return statistics.fmean(entry.seconds for entry in self.entries.values())

    @cached_property
    def _by_network(self) -> dict[str, Entry]:
        return {entry.network_id: entry for entry in self.entries.values()}


def read_table(path: Path) -> Table:
    """Read and check the table in a file.

    Raises:
        TableError: the file is not Parquet, or its rows fail `check_table`; the message names the row.
        OSError: the file can't be read.
    """
    content = path.read_bytes()
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise TableError(f"a table must be a whole Parquet file, {path} is not: {reason}") from error
    try:
        space = check_table(frame, frame.attrs)
    except ValueError as error:
        raise TableError(f"{error}, in {path}") from None
    entries = {entry.id: entry for entry in _entries(frame, int(frame.attrs["epochs"]))}
    return Table(path, content_hash([content]), dict(frame.attrs), space, entries)


def _entries(frame: pd.DataFrame, epochs: int) -> Iterator[Entry]:
    """Yield the rows of each architecture; they are sorted and a training is whole, so counting finds its end."""
    column = {name: frame[name].tolist() for name in frame.columns}
    rows = [Epoch(*row) for row in zip(*(column[name] for name in CURVE), strict=True)]
    starts = range(0, len(frame), epochs)
    for _, group in groupby(starts, key=column["architecture"].__getitem__):
        trainings = list(group)
        first = trainings[0]
        cuts = {column["seed"][start]: slice(start, start + epochs) for start in trainings}
        yield Entry(
            architecture=Architecture.from_json(json.loads(column["architecture"][first])),
            id=column["id"][first],
            network_id=column["network_id"][first],
            summary=column["summary"][first],
            costs={name: column[name][first] for name in built_in_costs().names},
            curves={seed: tuple(rows[cut]) for seed, cut in cuts.items()},
            test={seed: tuple(column["test_accuracy"][cut]) for seed, cut in cuts.items()},
            cpu_seconds={seed: tuple(column["cpu_seconds"][cut]) for seed, cut in cuts.items()},
            origin=column["origin"][first] if "origin" in column else "",
        )


def write_table(frame: pd.DataFrame, attributes: Mapping[str, Any], path: Path) -> None:
    """Check rows and metadata, and write them as a table, complete or not at all.

    Raises:
        TableError: the rows fail `check_table`; nothing is written then.
    """
    ordered = frame.sort_values(list(KEY), kind="stable").reset_index(drop=True)
    check_table(ordered, attributes)
    write_parquet(ordered, attributes, path, follow_link=True)


def write_parquet(frame: pd.DataFrame, attributes: Mapping[str, Any], path: Path, *, follow_link: bool = False) -> None:
    """Write rows and metadata as a Parquet file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = frame.copy(deep=False)
    frame.attrs = dict(attributes)
    with atomic_path(path, follow_link=follow_link) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")
