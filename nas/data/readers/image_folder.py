"""A folder of images with one subfolder a class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from nas.data.decode import Entry
from nas.data.files import ClassFiles, image_folder_files
from nas.data.readers import Source, SourcePart
from nas.data.spec import DataSpec


@contextmanager
def open_source(spec: DataSpec) -> Iterator[Source]:
    """The images at `spec.path`; classes are the folders' names in alphabetical order.

    Raises:
        DataError: no such folder, no class, no image.
    """
    parts = image_folder_files(spec)
    classes = tuple(c.name for c in parts.train)
    test = None if parts.test is None else _part(parts.test, classes)
    yield Source(classes, _part(parts.train, classes), test)


def _part(found: tuple[ClassFiles, ...], classes: tuple[str, ...]) -> SourcePart:
    number = {name: label for label, name in enumerate(classes)}
    labels = [number[c.name] for c in found for _ in c.files]
    entries = [Entry(str(file), file) for c in found for file in c.files]
    return SourcePart(np.asarray(labels, dtype=np.int64), entries)
