"""Shards of a table: Parquet files with some finished trainings each, until all can be joined into the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from nas.jobs import Curve, Epoch
from nas.jobs.files import PART, sweep
from nas.study.differences import differences
from nas.tabular.columns import SCORES, TableError
from nas.tabular.table import CURVE, write_parquet

COLUMNS = ("network_id", "seed", "epoch", *SCORES)
KEY = ("network_id", "seed", "epoch")


class Shards:
    """Shards of one table; each is complete once it has its name, and holds its recipe and circumstances."""

    def __init__(self, folder: Path, recipe: Mapping[str, Any], circumstances: Mapping[str, Any]) -> None:
        """Read the shards of a folder.

        Args:
            folder: of the shards; need not exist yet.
            recipe: metadata that all rows must share.
            circumstances: `device` and `environment` of the rows that are added.

        Raises:
            TableError: a shard can't be read, has rows of another recipe, or lacks a value; the message names the file
                and the row.
        """
        self._folder = folder
        self._recipe = dict(recipe)
        self._circumstances = dict(circumstances)
        sweep(folder, rf"\.\d+\.parquet\.(?:{PART}|part)")
        self._frames = [self._read(path) for path in sorted(folder.glob("*.parquet"))]
        self._next = 1 + max((int(path.stem) for path in folder.glob("*.parquet")), default=0)

    @property
    def frame(self) -> pd.DataFrame:
        """Rows of all shards in their order."""
        return pd.concat(self._frames, ignore_index=True) if self._frames else _frame([])

    @property
    def made_on(self) -> list[Mapping[str, Any]]:
        """Distinct pairs of `device` and `environment` that the rows were made on."""
        found: list[Mapping[str, Any]] = []
        for frame in self._frames:
            circumstances = {name: frame.attrs[name] for name in self._circumstances}
            if circumstances not in found:
                found.append(circumstances)
        return found

    def finished(self, epochs: int) -> set[tuple[str, int]]:
        """Return network and seed of every training in the shards.

        Args:
            epochs: of a full training.

        Raises:
            TableError: a training lacks epochs, or stands in the shards twice.
        """
        frame = self.frame
        again = frame.duplicated(list(KEY)).to_numpy()
        if again.any():
            raise TableError(f"a row must stand in one shard, {_name(frame.iloc[int(again.argmax())])} is there again")
        counts = frame.groupby(["network_id", "seed"], sort=False)["epoch"].agg(["count", "min", "max"])
        whole = (counts["count"] == epochs) & (counts["min"] == 1) & (counts["max"] == epochs)
        if not whole.all():
            network, seed = counts.index[int((~whole).to_numpy().argmax())]
            raise TableError(
                f"a shard must have all {epochs} epochs, those of network {network}, seed {seed} lack some"
            )
        return {(str(network), int(seed)) for network, seed in counts.index}

    def curves(self, seed: int) -> dict[str, Curve]:
        """Return the learning curves of a seed by network."""
        frame = self.frame
        ordered = frame[frame["seed"] == seed].sort_values("epoch", kind="stable")
        return {
            str(network): tuple(Epoch(*row) for row in zip(*(rows[name].tolist() for name in CURVE), strict=True))
            for network, rows in ordered.groupby("network_id", sort=False)
        }

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows as a new shard."""
        frame = _frame(rows)
        frame.attrs = {"recipe": self._recipe, **self._circumstances}
        write_parquet(frame, frame.attrs, self._folder / f"{self._next:06d}.parquet")
        self._frames.append(frame)
        self._next += 1

    def _read(self, path: Path) -> pd.DataFrame:
        try:
            frame = pd.read_parquet(path)
        except pyarrow.ArrowException as error:
            raise TableError(f"a shard must be a whole Parquet file, {path} is not; without it its trainings are made "
                             f"again: {error}") from error  # fmt: skip
        if list(frame.columns) != list(COLUMNS) or "recipe" not in frame.attrs or not len(frame):
            raise TableError(f"a shard must have the columns {list(COLUMNS)} and rows, {path} has not")
        other = differences(frame.attrs["recipe"], self._recipe)
        if other:
            clauses = "; ".join(clause.replace(" in the study", " there") for clause in other)
            raise TableError(
                f"rows of one table must share one recipe, {_name(frame.iloc[0])} in {path} does not: {clauses}"
            )
        wrong = frame.isna().any(axis=1).to_numpy()
        if wrong.any():
            raise TableError(f"every value must be there, {_name(frame.iloc[int(wrong.argmax())])} in {path} lacks one")
        return frame


def _frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    listed: Sequence[Mapping[str, Any]] = list(rows)
    kinds = {"network_id": "str", "seed": "int64", "epoch": "int64", **dict.fromkeys(SCORES, "float64")}
    return pd.DataFrame(listed, columns=list(COLUMNS)).astype(kinds)


def _name(row: Mapping[str, Any]) -> str:
    return f"the row of network {row['network_id']}, seed {row['seed']}, epoch {row['epoch']}"
