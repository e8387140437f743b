"""Readers of image sources: one module a source, imported only when the cache has to be built.

A reader is a context manager `open_source(spec)` that yields a `Source`; further parameters are set by `data.options`.
It is a module of this package, or a function of a user's own that `data.source` names by its dotted path.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nas.config.data import DataSpec
from nas.data.decode import Entry
from search_space.plugins import PluginKind

READER = PluginKind("data.source", "nas.data.readers", "open_source")


@dataclass(frozen=True)
class SourcePart:
    """Encoded pictures with their labels.

    Attributes:
        labels: (N,) int64, each in [0, number of classes).
        entries: the N pictures in the same order; can be iterated several times.
        origin: name of the source of pictures that are not files; None if every picture is a file.
    """

    labels: NDArray[np.int64]
    entries: Iterable[Entry]
    origin: str | None = None


@dataclass(frozen=True)
class Source:
    """Content of an image source.

    Attributes:
        classes: names of the classes, in the order of the labels.
        train: the training part.
        test: the test part; None if the source has none, and one is cut from the training part.
        notes: lines on what the source holds and is not read.
        scales: of signals, the value of each channel that became pixel 0, and the one that became 255.
    """

    classes: tuple[str, ...]
    train: SourcePart
    test: SourcePart | None
    notes: tuple[str, ...] = ()
    scales: tuple[tuple[float, float], ...] = ()


def open_source(spec: DataSpec) -> AbstractContextManager[Source]:
    """Open the source that `spec` names; its entries can be read until the context ends.

    Raises:
        DataError: the source can't be read.
        PluginError: there is no such source, or it takes no such option.
    """
    # Readers import scikit-learn or `datasets` (a second each), which a warm cache never needs.
    return cast("AbstractContextManager[Source]", READER.make(spec.source, spec, spec.options))


def reader_file(name: str) -> Path | None:
    """Return the file of a reader's module, found without importing the module; None if it is not a file.

    Raises:
        PluginError: there is no such reader.
    """
    module = name.rpartition(".")[0] or f"{READER.room}.{name}"
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        READER.load(name)  # raises the error of an unknown name
    return Path(found.origin) if found is not None and found.origin is not None else None
