"""Parquet files, or a data set on the Hugging Face Hub if no path is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nas.config.data import CUT, DataSpec
from nas.data.files import parquet_files, source_path
from nas.data.readers import Source, hub
from nas.data.readers.parquet_table import ParquetTable
from nas.data.readers.tables import make_source


@contextmanager
def open_source(spec: DataSpec) -> Iterator[Source]:
    """Open the Parquet files at `spec.path`, or `spec.hub_name` on the Hub.

    Raises:
        DataError: no such files, or no unique column of images or of labels.
    """
    if spec.path is None:
        with hub.open_source(spec) as source:
            yield source
        return
    found = parquet_files(spec)
    parts = {spec.train_split: found.train, _test_name(spec): found.test}
    tables = {part: ParquetTable.open(files) for part, files in parts.items() if files}
    yield make_source(tables, spec, str(source_path(spec)))


def _test_name(spec: DataSpec) -> str:
    return "test" if spec.test_split in {None, CUT} else str(spec.test_split)
