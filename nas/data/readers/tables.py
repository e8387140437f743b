"""Tables with a column of images and one of labels, from Parquet files or the Hugging Face Hub."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from nas.config.data import CUT, DataSpec
from nas.data.decode import Entry
from nas.data.errors import DataError
from nas.data.layout import TEST, part_of
from nas.data.picture_files import counted, listed
from nas.data.readers import Source, SourcePart
from nas.data.readers.parquet_table import ParquetTable

LABEL_NAMES = ("label", "labels", "class", "target", "y")


@dataclass(frozen=True)
class TableEntries:
    """Encoded images of one split, row by row; `where` names the table in errors."""

    table: Any
    column: str
    where: str

    def __iter__(self) -> Iterator[Entry]:
        for row, cell in enumerate(self.table[self.column]):
            where = f"row {row} of {self.where}"
            if isinstance(cell, bytes):  # a plain column of bytes
                yield Entry(where, cell)
                continue
            if cell is None or not (cell["bytes"] or cell["path"]):
                raise DataError(f"every row must hold an image in column {self.column!r}, {where} holds none")
            content = cell["bytes"] or Path(cell["path"])
            yield Entry(where, content)


def make_source(tables: Mapping[str, Any], spec: DataSpec, where: str) -> Source:
    """Return the source of a table for each split.

    Args:
        tables: `datasets.Dataset` or `ParquetTable`, by the name of the split.
        spec: names of the splits and of the columns.
        where: name of the tables in errors.

    Raises:
        DataError: no such split, no unique column of images or of labels, or rows without them.
    """
    if spec.train_split not in tables:
        raise DataError(f"data.train_split must be one of {', '.join(tables)} in {where}, got {spec.train_split!r}")
    if spec.test_split not in {None, CUT, *tables}:
        raise DataError(f"data.test_split must be one of {', '.join(tables)} in {where}, got {spec.test_split!r}")
    train = tables[spec.train_split]
    test_split = None if spec.test_split == CUT else _test_split(tables, spec)
    test = None if test_split is None else tables[test_split]
    if not len(train):
        raise DataError(f"the training part must hold images, split {spec.train_split!r} of {where} has no rows")
    image, label = _image_column(train.features, spec), _label_column(train.features, spec)
    train_where = f"{spec.train_split} in {where}"
    classes = _classes(train.features[label], _values(train, label, train_where))
    train_part = _part(train, (image, label), classes, train_where)
    test_part = (
        None if test is None else _part(test, (image, label), classes, f"{test_split} in {where}", _way_out(test_split))
    )
    return Source(tuple(str(name) for name in classes), train_part, test_part, _unread(tables, spec, test_split))


def _test_split(tables: Mapping[str, Any], spec: DataSpec) -> str | None:
    """Return the split to test on: the named one, else `test` or the only one that stands for it."""
    if spec.test_split is not None or "test" in tables:
        return spec.test_split or "test"
    found = [name for name in tables if part_of(name) == TEST and name != spec.train_split]
    return found[0] if len(found) == 1 else None


def _way_out(test_split: str | None) -> str:
    return f"; data.test_split={CUT} leaves {test_split} out, and cuts a test part off the training part"


def _unread(tables: Mapping[str, Any], spec: DataSpec, test_split: str | None) -> tuple[str, ...]:
    """Return a line on the splits that are not read."""
    others = [f"{name} {len(tables[name]):,}" for name in tables if name not in {spec.train_split, test_split}]
    return (f"{counted(len(others), 'split')} ({listed(others)} rows)",) if others else ()


def _part(table: Any, columns: tuple[str, str], classes: list[Any], where: str, way_out: str = "") -> SourcePart:
    image, label = columns
    missing = [column for column in columns if column not in table.features]
    if missing:
        raise DataError(f"train and test must have the same columns, {where} lacks {missing[0]!r}")
    named = isinstance(table.features[label], datasets.ClassLabel)
    number = {(i if named else name): i for i, name in enumerate(classes)}
    values = _values(table, label, where)
    unknown = next((row for row, value in enumerate(values) if value not in number), None)
    if unknown is not None:
        raise DataError(
            f"every row must have one of the training part's labels, row {unknown} of {where} has {values[unknown]}"
            f"{way_out}"
        )
    labels = np.asarray([number[value] for value in values], dtype=np.int64)
    undecoded = table if isinstance(table, ParquetTable) else table.cast_column(image, datasets.Image(decode=False))
    return SourcePart(labels, TableEntries(undecoded, image, where), where)


def _values(table: Any, column: str, where: str) -> list[Any]:
    """Return the labels of a column; floating-point ones, as pandas makes them, must be whole and become integers."""
    values = list(table[column])
    for row, value in enumerate(values):
        if isinstance(value, float) and not math.isnan(value):
            if not value.is_integer():
                raise DataError(f"labels must be whole numbers or text, row {row} of {where} has {value:g}")
            values[row] = int(value)
    return values


def _classes(feature: Any, values: list[Any]) -> list[Any]:
    """Return the names of a class label, or the values of a plain column in ascending order."""
    if isinstance(feature, datasets.ClassLabel):
        return list(feature.names)
    return sorted({value for value in values if value is not None and value == value})  # noqa: PLR0124 - NaN


def _image_column(features: Mapping[str, Any], spec: DataSpec) -> str:
    found = [name for name, feature in features.items() if _holds_images(feature)]
    return _only(found, features, spec.image_column, "image")


def _label_column(features: Mapping[str, Any], spec: DataSpec) -> str:
    found = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    plain = [name for name, feature in features.items() if _is_plain_label(feature)]
    floats = [name for name, feature in features.items() if _is_float(feature)]
    if spec.label_column is not None:
        return _only(found + plain + floats, features, spec.label_column, "label")
    likely = [name for name in LABEL_NAMES if name in plain + floats][:1]
    return _only(found or likely or plain or floats, features, None, "label")


def _holds_images(feature: Any) -> bool:
    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return isinstance(feature, datasets.Image) or getattr(feature, "dtype", None) in {"binary", "large_binary"}


def _is_plain_label(feature: Any) -> bool:
    dtype = str(getattr(feature, "dtype", ""))
    return isinstance(feature, datasets.Value) and dtype.lstrip("u").startswith(
        ("int", "string", "large_string", "bool")
    )


def _is_float(feature: Any) -> bool:
    return isinstance(feature, datasets.Value) and str(feature.dtype).startswith("float")


def _only(found: list[str], features: Mapping[str, Any], named: str | None, kind: str) -> str:
    """Return the column of images or labels: the named one, or else the only one found."""
    if named in found:
        return named
    candidates = ", ".join(found) if found else "none"
    if named is not None:
        raise DataError(f"data.{kind}_column must be a column of {kind}s, got {named!r}; candidates: {candidates}")
    if len(found) != 1:
        raise DataError(
            f"one column must hold the {kind}s, found {candidates} among {', '.join(features)}: set data.{kind}_column"
        )
    return found[0]
