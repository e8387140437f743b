"""Description of an image set and its split, for which no images are loaded and torch is not needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.config.data import DataSpec
from nas.data.cache import CachedSource, cached_source
from nas.data.notices import NOTHING, Notices, notices
from nas.data.picture_files import listed
from nas.data.split import SplitRows, split, training_subset
from nas.data.statistics import Shape

CLASSES_SHOWN = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataInfo:
    """Description of an image set, without its images.

    Attributes:
        name: name of the set.
        shape: (C, H, W) of every image.
        classes: names of the classes, in the order of the labels.
        train: number of images to train on.
        validation: number of images to validate on.
        test: number of images to test on.
        fingerprint: as in `ImageData`.
        test_fingerprint: the same of the source's own test part, None if it has none.
        folder: cache folder of the source on this machine.
        decoded: whether the cache holds decoded images, rather than encoded ones or their paths.
        counts: number of images of each class, in all parts.
        values: lowest and highest value of a pixel of the training part, None if it was not recorded.
        notices: what else is to be said of the set.
    """

    name: str
    shape: Shape
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    fingerprint: str
    test_fingerprint: str | None
    folder: Path
    decoded: bool
    counts: tuple[int, ...] = ()
    values: tuple[int, int] | None = None
    notices: Notices = NOTHING

    def lines(self) -> Iterator[str]:
        """Yield what was read: numbers of images, and of those of each class."""
        channels, height, width = self.shape
        kind = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
        values = f", values {self.values[0]} to {self.values[1]}" if self.values else ""
        yield (
            f"{self.train + self.validation:,} images ({self.train:,} to train, {self.validation:,} to validate)"
            f"{f' and {self.test:,} to test' if self.test else ''}, {width}x{height} {kind}{values}"
        )
        named = (f"{_quoted(name)} {count:,}" for name, count in zip(self.classes, self.counts, strict=True))
        yield f"{len(self.classes)} classes: {listed(named, CLASSES_SHOWN)}"
        yield from self.left_out()

    def left_out(self) -> Iterator[str]:
        """Yield what was not read."""
        yield from (f"left out: {line}" for line in self.notices.read)


def announce(info: DataInfo, *, counts: bool = True) -> None:
    """Log what was read of an image set, and warn of what is likely to spoil the results.

    Args:
        info: the set.
        counts: whether to log the numbers of images too, which a command that does not train has no need of.
    """
    for line in info.lines() if counts else info.left_out():
        log.info("data: %s", line)
    for line in info.notices.warnings:
        log.warning("data: %s", line)


def describe(spec: DataSpec) -> DataInfo:
    """Describe an image set and its split; decode the source if it is not cached.

    Raises:
        DataError: as for `load`, or the images are all of one value.
    """
    source = cached_source(spec)
    parts = split_of(source, spec)
    labelled = [part.labels for part in (source.train, source.validation, source.test) if part is not None]
    counts = np.bincount(np.concatenate(labelled), minlength=len(source.classes))
    return DataInfo(
        name=spec.name,
        shape=shape_of(source),
        classes=source.classes,
        train=len(parts.train),
        validation=len(parts.validation) if source.validation is None else len(source.validation.labels),
        test=len(parts.test) if source.test is None else len(source.test.labels),
        fingerprint=source.train.fingerprint,
        test_fingerprint=None if source.test is None else source.test.fingerprint,
        folder=source.folder,
        decoded=source.decoded,
        counts=tuple(counts.tolist()),
        values=source.train.values,
        notices=notices(source, parts, spec),
    )


def split_of(source: CachedSource, spec: DataSpec) -> SplitRows:
    """Return the rows of the parts into which the training part of a source is split."""
    if source.validation is not None:
        none = np.arange(0)
        return SplitRows(train=training_subset(source.train.labels, spec), validation=none, test=none)
    cut_test = source.test is None and spec.test_fraction > 0
    return split(source.train.labels, source.classes, spec, cut_test=cut_test)


def shape_of(source: CachedSource) -> Shape:
    """Return (C, H, W) of the images of a source."""
    return source.train.pixels.shape[1:]


def _quoted(name: str) -> str:
    return name if name.isprintable() else repr(name)
