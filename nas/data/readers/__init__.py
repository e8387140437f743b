"""Where images come from: one file a source, imported only when the cache has to be built."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nas.config.data import DataSpec
from nas.data.decode import Entry


@dataclass(frozen=True)
class SourcePart:
    """Encoded pictures with their labels.

    Attributes:
        labels: (N,) int64, each in [0, number of classes).
        entries: the N pictures in the same order; can be gone through again.
        origin: names where pictures come from that have no file of their own; None where each has.
    """

    labels: NDArray[np.int64]
    entries: Iterable[Entry]
    origin: str | None = None


@dataclass(frozen=True)
class Source:
    """What a reader finds: class names, the training part, and the test part where the source has one."""

    classes: tuple[str, ...]
    train: SourcePart
    test: SourcePart | None


def open_source(spec: DataSpec) -> AbstractContextManager[Source]:
    """Open the source that `spec` names; its entries can be read until the context ends.

    Raises:
        DataError: the source can't be had; says why.
    """
    reader = {"digits": "digits", "image_folder": "image_folder", "parquet": "tables", "hub": "tables"}[spec.source]
    # The readers import scikit-learn or `datasets` (a second each), which a warm cache never needs.
    return cast("AbstractContextManager[Source]", import_module(f"nas.data.readers.{reader}").open_source(spec))
