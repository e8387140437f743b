"""Parquet files as one table that is read a little at a time, however many rows they hold, and copied nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from nas.data.errors import DataError

AT_ONCE, BUFFER = 64, 2**20


@dataclass(frozen=True)
class Shards:
    """The rows of some Parquet files, file after file.

    Attributes:
        files: the files, at least one.
        features: kinds of the columns, as `datasets` tells them.
        rows: how many rows there are.
    """

    files: Sequence[Path]
    features: Mapping[str, Any]
    rows: int

    @classmethod
    def of(cls, files: Sequence[Path]) -> Shards:
        """The rows of `files`.

        Raises:
            DataError: a file that can't be read, or that has other columns than the first; or no rows.
        """
        rows, columns = 0, set[str]()
        for file in files:
            with _readable(file):
                metadata = pq.read_metadata(file)
            names = set(metadata.schema.to_arrow_schema().names)
            columns = columns or names
            if names != columns:
                raise DataError(
                    f"Parquet files of one part must have the same columns, {file.name} and {files[0].name} differ in "
                    f"{', '.join(sorted(names ^ columns))}"
                )
            rows += metadata.num_rows
        if not rows:
            raise DataError(f"Parquet files must be whole and hold rows, {files[0]} holds none")
        return cls(files, datasets.Features.from_arrow_schema(pq.read_schema(files[0])), rows)

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, column: str) -> Iterator[Any]:
        """The cells of a column, row after row; a few of them are in memory.

        Raises:
            DataError: a file that can't be read any more.
        """
        for file in self.files:
            # Not read ahead: a row group may be as large as its file.
            with _readable(file), pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER) as opened:
                for batch in opened.iter_batches(AT_ONCE, columns=[column]):
                    yield from batch.column(0).to_pylist()


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"Parquet files must be whole and hold rows, {file} is not so: {reason}") from error
