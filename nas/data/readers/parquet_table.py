"""Parquet files as one table, read a few rows at a time and without a copy on disk."""

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

BATCH_ROWS, BUFFER_BYTES = 64, 2**20


@dataclass(frozen=True)
class ParquetTable:
    """Rows of Parquet files, file by file.

    Attributes:
        files: the files, at least one.
        features: features of the columns, by `datasets`.
        rows: number of rows.
    """

    files: Sequence[Path]
    features: Mapping[str, Any]
    rows: int

    @classmethod
    def open(cls, files: Sequence[Path]) -> ParquetTable:
        """Open `files` as one table.

        Raises:
            DataError: a file can't be read or has other columns than the first, or there are no rows.
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
        """Yield the cells of a column; a few of them are in memory.

        Raises:
            DataError: a file can't be read any more.
        """
        for file in self.files:
            # Not read ahead: a row group may be as large as its file.
            with _readable(file), pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES) as opened:
                for batch in opened.iter_batches(BATCH_ROWS, columns=[column]):
                    yield from batch.column(0).to_pylist()


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"Parquet files must be whole and hold rows, {file} is not: {reason}") from error
