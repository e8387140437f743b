"""Images that a search trains and validates on, and the test part by a function of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nas.config.data import ALWAYS, DataSpec
from nas.data.cache import CachedPart, CachedSource, cached_source
from nas.data.dataset import Part, StreamedSet
from nas.data.errors import DataError
from nas.data.notices import NOTHING, Notices, notices
from nas.data.picture_files import listed
from nas.data.split import SplitRows, split, training_subset
from nas.data.statistics import Shape, mean_and_std

CLASSES_SHOWN = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images that a search trains and validates on. There is no test part, so that no search can use it.

    Attributes:
        train: images to train on.
        validation: images to validate on.
        classes: names of the classes, in the order of the labels.
        mean: of each channel over `train`, pixels scaled to [0, 1].
        std: standard deviation likewise, at least 1/255.
        fingerprint: SHA-256 of pixels, labels and class names of the source's training part, before the validation
            part is cut off.
        shape: (C, H, W) of every image.
    """

    train: Part
    validation: Part
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    shape: Shape


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


def load(spec: DataSpec) -> ImageData:
    """Return the training and validation parts, decoded at the first call and read from the cache afterwards.

    They are streamed if `spec.streaming` is `always` and held in memory otherwise; `resolve_streaming` decides `auto`.

    Raises:
        DataError: the source or the cache can't be read, or the source can't be split.
    """
    source = cached_source(spec)
    parts = _split(source, spec)
    mean, std = mean_and_std(source.train.moments[parts.train], _shape(source))
    return ImageData(
        train=_part(source.train, parts.train, spec),
        validation=(
            _whole(source.validation, spec) if source.validation else _part(source.train, parts.validation, spec)
        ),
        classes=source.classes,
        mean=mean,
        std=std,
        fingerprint=source.train.fingerprint,
        shape=_shape(source),
    )


def load_test(spec: DataSpec) -> Part:
    """Return the test part, for networks that were retrained after a search and for nothing else.

    Raises:
        DataError: as for `load`, or there is no test part.
    """
    source = cached_source(spec)
    if source.test is not None:
        return _whole(source.test, spec)
    if source.validation is not None:
        raise DataError(f"{spec.name} has no test part: none was given with the tensors from Python")
    if spec.test_fraction == 0:
        raise DataError(f"{spec.name} has no test part of its own, and data.test_fraction is 0: no images to test on")
    return _part(source.train, _split(source, spec).test, spec)


def describe(spec: DataSpec) -> DataInfo:
    """Describe an image set and its split; decode the source if it is not cached.

    Raises:
        DataError: as for `load`, or the images are all of one value.
    """
    source = cached_source(spec)
    parts = _split(source, spec)
    labelled = [part.labels for part in (source.train, source.validation, source.test) if part is not None]
    counts = np.bincount(np.concatenate(labelled), minlength=len(source.classes))
    return DataInfo(
        name=spec.name,
        shape=_shape(source),
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


def _quoted(name: str) -> str:
    return name if name.isprintable() else repr(name)


def _split(source: CachedSource, spec: DataSpec) -> SplitRows:
    if source.validation is not None:
        none = np.arange(0)
        return SplitRows(train=training_subset(source.train.labels, spec), validation=none, test=none)
    cut_test = source.test is None and spec.test_fraction > 0
    return split(source.train.labels, source.classes, spec, cut_test=cut_test)


def _shape(source: CachedSource) -> Shape:
    return source.train.pixels.shape[1:]


def _whole(stored: CachedPart, spec: DataSpec) -> Part:
    return _part(stored, np.arange(len(stored.labels)), spec)


def _part(stored: CachedPart, rows: NDArray[np.int64], spec: DataSpec) -> Part:
    threads = spec.decode_workers or os.cpu_count() or 1
    streamed = StreamedSet(stored.pixels, rows, torch.from_numpy(stored.labels[rows]), threads)
    return streamed if spec.streaming == ALWAYS else streamed.take(np.arange(len(rows)))
