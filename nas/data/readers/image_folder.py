"""A folder of images with one subfolder a class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.config.data import DataSpec
from nas.data.decode import Entry
from nas.data.errors import DataError
from nas.data.files import folder_files
from nas.data.layout import ClassFiles
from nas.data.readers import Source, SourcePart


@dataclass(frozen=True)
class FolderEntries:
    """Pictures of all classes, class by class; only the files of one class are listed at a time.

    Attributes:
        classes: the classes.
        counts: number of images of each at the first count.
    """

    classes: tuple[ClassFiles, ...]
    counts: list[int]

    def __iter__(self) -> Iterator[Entry]:
        for of_class, count in zip(self.classes, self.counts, strict=True):
            files = of_class.files()
            if len(files) != count:
                raise DataError(
                    f"images must not change while they are read, {of_class.folder} had {count} files, has {len(files)}"
                )
            yield from (Entry(file, Path(file)) for file in files)


@contextmanager
def open_source(spec: DataSpec) -> Iterator[Source]:
    """Open the images at `spec.path`; classes are the folders' names in alphabetical order.

    Raises:
        DataError: no such folder, no class, or no image.
    """
    parts = folder_files(spec)
    classes = tuple(c.name for c in parts.train)
    test = None if parts.test is None else _part(parts.test, classes)
    yield Source(classes, _part(parts.train, classes), test)


def _part(found: tuple[ClassFiles, ...], classes: tuple[str, ...]) -> SourcePart:
    number = {name: label for label, name in enumerate(classes)}
    counts = [len(c.files()) for c in found]
    labels = np.repeat(np.asarray([number[c.name] for c in found], dtype=np.int64), counts)
    return SourcePart(labels, FolderEntries(found, counts))
