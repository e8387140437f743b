"""Signals (spectra, time series): arrays of NumPy, or text files of the UCR archive's form, as images of height 1.

A signal of C channels and L samples is an image (C, 1, L). Its values are scaled by channel from the range of the
training part to 0..255 and rounded, since an image set is held in 8 bits; values outside that range are clipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas
from numpy.typing import NDArray

from nas.config.data import DataSpec
from nas.data.decode import Entry
from nas.data.errors import DataError
from nas.data.files import source_path
from nas.data.layout import TEST, TRAIN, part_of
from nas.data.readers import Source, SourcePart

SEPARATORS = {".tsv": "\t", ".csv": ",", ".txt": r"\s+"}
Signals = NDArray[np.float64]  # (N, C, L)


@final
@dataclass(frozen=True, eq=False)
class LabelledSignals:
    """Signals (N, C, L) with their labels (N,) of any kind, and the place that errors name."""

    values: Signals
    labels: NDArray[Any]
    where: str


@contextmanager
def open_source(spec: DataSpec) -> Iterator[Source]:
    """Open the signals at `spec.path`.

    An .npz file holds `x` (N, L) or (N, C, L) and `y` (N,), and perhaps `x_test`, `y_test` and the names `classes` of
    the labels 0, 1, ...; a .tsv, .csv or .txt file has a signal a line, its label first. A folder holds one file, or
    one whose name ends with TRAIN and one with TEST.

    Raises:
        DataError: no such file, signals of several lengths, values that are not finite, or labels of no class.
    """
    train, test, classes = _read(source_path(spec))
    names = classes if classes is not None else _distinct(train.labels)
    scales = tuple(_scale(channel, train.where) for channel in train.values.transpose(1, 0, 2))
    parts = [None if part is None else _part(part, names, scales) for part in (train, test)]
    assert parts[0] is not None
    yield Source(tuple(map(str, names)), parts[0], parts[1], scales=scales)


def _read(path: Path) -> tuple[LabelledSignals, LabelledSignals | None, list[Any] | None]:
    """Return the training part, the test part and the names of the classes, None for what is not given."""
    train, test = _files(path)
    if train.suffix == ".npz":
        return _read_arrays(train)
    found = _read_text(train), None if test is None else _read_text(test)
    if found[1] is not None and found[1].values.shape[1:] != found[0].values.shape[1:]:
        raise DataError(
            f"signals must be of one length, got {found[0].values.shape[2]} in {train} and {found[1].values.shape[2]} "
            f"in {test}"
        )
    return *found, None


def _files(path: Path) -> tuple[Path, Path | None]:
    if path.is_file():
        if path.suffix not in (".npz", *SEPARATORS):
            raise DataError(f"signals must be in a file of {', '.join(('.npz', *SEPARATORS))}, got {path}")
        return path, None
    files = sorted(f for f in path.iterdir() if f.suffix in (".npz", *SEPARATORS) and not f.name.startswith("."))
    parts = {part_of(file.stem.rpartition("_")[2]): file for file in files}
    if len(files) == 1:
        return files[0], None
    if len(files) == 2 and set(parts) == {TRAIN, TEST}:
        return parts[TRAIN], parts[TEST]
    raise DataError(
        f"a folder of signals must hold one file, or one that ends with TRAIN and one with TEST, "
        f"got {', '.join(f.name for f in files) or 'none'} in {path}: data.path=FILE names one"
    )


def _read_arrays(file: Path) -> tuple[LabelledSignals, LabelledSignals | None, list[Any] | None]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise DataError(f"signals must be in a .npz file without pickled objects, {file} is not: {error}") from error
    missing = [name for name in ("x", "y") if name not in found]
    if missing:
        raise DataError(f"a .npz file of signals must hold x and y, {file} lacks {missing[0]}")
    train = _checked(found["x"], found["y"], str(file))
    test = None
    if "x_test" in found and "y_test" in found:
        test = _checked(found["x_test"], found["y_test"], f"x_test of {file}")
        if test.values.shape[1:] != train.values.shape[1:]:
            raise DataError(f"x and x_test must be of one shape, got {train.values.shape} and {test.values.shape}")
    named = [str(name) for name in found["classes"].tolist()] if "classes" in found else None
    return train, test, named


def _read_text(file: Path) -> LabelledSignals:
    try:
        table = pandas.read_csv(file, sep=SEPARATORS[file.suffix], header=None)
        values = table.iloc[:, 1:].to_numpy(dtype=np.float64)
    except (ValueError, pandas.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"a file of signals must have a label and then numbers in each line, {file}: {reason}"
        ) from error
    return _checked(values, table.iloc[:, 0].to_numpy(), str(file))


def _checked(values: NDArray[Any], labels: NDArray[Any], where: str) -> LabelledSignals:
    if values.ndim not in (2, 3) or not values.size or values.dtype.kind not in "fiub":
        raise DataError(f"signals must be numbers (N, L) or (N, C, L), got {values.dtype} {values.shape} in {where}")
    if labels.shape != values.shape[:1]:
        raise DataError(f"every signal needs a label, got {values.shape[0]} and {labels.shape} in {where}")
    signals = values.astype(np.float64).reshape(len(values), -1, values.shape[-1])
    odd = np.flatnonzero(~np.isfinite(signals).all(axis=(1, 2)))
    if len(odd):
        raise DataError(
            f"signals must be finite and of one length, signal {odd[0]} of {where} has values that are missing: "
            "interpolate them, or pad the signals to one length"
        )
    return LabelledSignals(signals, labels, where)


def _distinct(labels: NDArray[Any]) -> list[Any]:
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == labels.round()).all():
        labels = labels.astype(np.int64)
    return sorted(set(labels.tolist()))


def _scale(channel: Signals, where: str) -> tuple[float, float]:
    low, high = float(channel.min()), float(channel.max())
    if low == high:
        raise DataError(f"signals must vary, a channel of {where} is {low:g} everywhere: leave it out")
    return low, high


def _part(part: LabelledSignals, names: list[Any], scales: tuple[tuple[float, float], ...]) -> SourcePart:
    """Return signals as pixels, and their labels as numbers of classes."""
    numbers = {name: number for number, name in enumerate(names)}
    by_number = all(isinstance(name, str) for name in names) and part.labels.dtype.kind in "iu"
    labels = part.labels.tolist() if by_number else [numbers.get(label) for label in part.labels.tolist()]
    odd = next((row for row, label in enumerate(labels) if label is None or not 0 <= label < len(names)), None)
    if odd is not None:
        raise DataError(
            f"every label must be one of the classes of the training part, signal {odd} of {part.where} has "
            f"{part.labels[odd]}"
        )
    low, high = (np.array(ends)[:, None] for ends in zip(*scales, strict=True))  # (C, 1)
    levels = np.rint((part.values - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)[:, :, None]
    entries = [Entry(f"signal {row} of {part.where}", b"", pixels) for row, pixels in enumerate(levels)]
    return SourcePart(np.asarray(labels, dtype=np.int64), entries, part.where)
