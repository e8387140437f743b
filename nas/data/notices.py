"""Lines that say what was read of an image set, and what of it can't be learnt from or leads astray."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nas.config.data import DataSpec
from nas.data.cache import CachedPart, CachedSource
from nas.data.errors import DataError
from nas.data.files import folder_files, parquet_files
from nas.data.metadata import METADATA_ERRORS
from nas.data.picture_files import listed
from nas.data.readers import open_source
from nas.data.split import SplitRows
from nas.data.statistics import mean_and_std

FEW_LEVELS = 2.0
"""Standard deviation, in levels of 255, below which all images of a set look alike."""
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Notices:
    """Lines about one image set.

    Attributes:
        read: lines on what was left out.
        warnings: lines on what is likely to spoil the results.
    """

    read: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


NOTHING = Notices()


def notices(source: CachedSource, parts: SplitRows, spec: DataSpec) -> Notices:
    """Return what is to be said of an image set.

    Raises:
        DataError: all pixels of the training part are equal.
    """
    seen = _Seen(source, parts, spec)
    return Notices((*seen.left_out(), *source.notes), (*seen.contrast(), *seen.names(), *seen.copies()))


@dataclass(frozen=True, eq=False)
class _Seen:
    """Image set with its split."""

    source: CachedSource
    parts: SplitRows
    spec: DataSpec

    def left_out(self) -> tuple[str, ...]:
        """Return lines on the files that are not read."""
        if self.spec.source == "image_folder":
            return folder_files(self.spec).left_out()
        if self.spec.source == "parquet" and self.spec.path is not None:
            return parquet_files(self.spec).left_out
        return ()

    def contrast(self) -> Iterator[str]:
        """Yield a warning if all images look alike."""
        train = self.source.train
        _, std = mean_and_std(train.moments, train.pixels.shape[1:])
        if train.values is not None and train.values[0] == train.values[1]:
            raise DataError(
                f"images must differ to be learnt from, every pixel of the training part is {train.values[0]}"
                f"{self._wide_values()}"
            )
        if max(std) * 255 < FEW_LEVELS:
            yield (
                f"the images are nearly constant, their pixels deviate by {max(std) * 255:.2g} of 255 levels"
                f"{self._wide_values()}"
            )

    def _wide_values(self) -> str:
        """Return what the first picture holds before it is converted to 8 bits, if that explains a lack of contrast."""
        try:
            with open_source(self.spec) as opened:
                entry = next(iter(opened.train.entries))
                if entry.pixels is not None:
                    return ""
                content = entry.content if isinstance(entry.content, Path) else io.BytesIO(entry.content)
                with Image.open(content) as image:
                    mode, (low, high) = image.mode, np.quantile(np.asarray(image), (0, 1))
        except (*METADATA_ERRORS, StopIteration):
            return ""
        if not mode.startswith("I"):
            return ""
        return (
            f": {entry.where} has 16 bits with values of {low:g} to {high:g}, of which the higher byte is taken; save "
            f"the images with 8 bits, or scale them to 0..65535"
        )

    def names(self) -> Iterator[str]:
        """Yield a warning on names of classes that break a line or hide in it."""
        odd = [repr(name) for name in self.source.classes if not name.isprintable() or name != name.strip()]
        if odd:
            yield f"names of classes with blanks at an end, or with characters that can't be printed: {listed(odd)}"

    def copies(self) -> Iterator[str]:
        """Yield a warning for each pair of parts that hold equal images, and one for equal images of two classes."""
        train, test = self.source.train, self.source.test
        if train.hashes is None:
            return
        sets = {"training": (train, self.parts.train), "validation": (train, self.parts.validation)}
        if self.source.validation is not None:
            sets["validation"] = _all(self.source.validation)
        sets["test"] = (train, self.parts.test) if test is None else _all(test)
        for one, other in (("training", "validation"), ("training", "test"), ("validation", "test")):
            yield from self._shared(sets, one, other)
        yield from self._contradicting(train.hashes, train.labels)

    def _shared(self, sets: dict[str, tuple[CachedPart, Rows]], one: str, other: str) -> Iterator[str]:
        (kept, rows), (held, held_rows) = sets[one], sets[other]
        if kept.hashes is None or held.hashes is None or not len(rows) or not len(held_rows):
            return
        equal = held_rows[np.isin(held.hashes[held_rows], kept.hashes[rows])]
        if len(equal):
            first = rows[kept.hashes[rows] == held.hashes[equal[0]]][0]
            yield (
                f"{len(equal):,} of {len(held_rows):,} {other} images equal {one} images, such as "
                f"{self._name(held, equal[0])} and {self._name(kept, first)}: accuracy on them says little; keep one "
                f"copy of each"
            )

    def _contradicting(self, hashes: NDArray[np.uint64], labels: NDArray[np.int64]) -> Iterator[str]:
        order = np.lexsort((labels, hashes))
        same = (np.diff(hashes[order]) == 0) & (np.diff(labels[order]) != 0)
        pairs = np.flatnonzero(same)
        if len(pairs):
            a, b = order[pairs[0]], order[pairs[0] + 1]
            train = self.source.train
            yield (
                f"{len(pairs):,} images are in two classes, such as {self._name(train, a)} "
                f"({self.source.classes[labels[a]]}) and {self._name(train, b)} ({self.source.classes[labels[b]]})"
            )

    def _name(self, part: CachedPart, row: np.int64) -> str:
        files = self._files.get(id(part))
        if files is not None and row < len(files):
            return str(files[row])
        return f"row {row} of the {'test' if part is self.source.test else 'training'} part"

    @cached_property
    def _files(self) -> dict[int, list[str]]:
        """Names of the files of each part, from its folder on."""
        if self.spec.source != "image_folder":
            return {}
        found, names = folder_files(self.spec), {}
        for part, classes in ((self.source.train, found.train), (self.source.test, found.test)):
            if part is not None:
                names[id(part)] = [
                    str(Path(file).relative_to(c.folder.parent)) for c in classes or () for file in c.files()
                ]
        return names


def _all(part: CachedPart) -> tuple[CachedPart, Rows]:
    return part, np.arange(len(part.labels))
