"""What a search trains and validates on, and the test part by a door of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nas.config.data import ALWAYS, DataSpec
from nas.data.cache import Kept, Stored, kept
from nas.data.dataset import Part, StreamedSet
from nas.data.errors import DataError
from nas.data.split import Parts, share, split
from nas.data.statistics import Shape, mean_and_std


@dataclass(frozen=True, eq=False)
class ImageData:
    """What a search trains and validates on. There is no test part here, so that no search can look at it.

    Attributes:
        train: the images to train on.
        validation: the images to validate on.
        classes: names of the classes, in the order of the labels.
        mean: of each channel over `train`, pixels scaled to [0, 1].
        std: standard deviation likewise, at least 1/255.
        fingerprint: SHA-256 of the pixels, labels and class names of the source's whole training part, unsplit where
            the source does not split it itself.
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
    """What a source holds, without its images.

    Attributes:
        name: the spec's name.
        shape: (C, H, W) of every image.
        classes: names of the classes, in the order of the labels.
        train: number of images to train on.
        validation: number of images to validate on.
        test: number of images to test on.
        fingerprint: as in `ImageData`.
        test_fingerprint: the same of the source's own test part, None where the test part is cut off.
        folder: what is kept of the source on this machine.
        decoded: whether that holds the decoded images, and not the encoded ones or their paths.
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


def load(spec: DataSpec) -> ImageData:
    """The training and validation parts of `spec`, decoded at the first call and from the cache afterwards.

    They are streamed where `spec.streaming` is `always`, and held in memory otherwise: `auto` is settled by those who
    know the devices (`settle`).

    Raises:
        DataError: the source or the cache can't be had, or the source can't be split.
    """
    source = kept(spec)
    parts = _parts(source, spec)
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
    """The test part of `spec`, for networks that were retrained after a search and for nothing else.

    Raises:
        DataError: as `load`, or there is no test part.
    """
    source = kept(spec)
    if source.test is not None:
        return _whole(source.test, spec)
    if source.validation is not None:
        raise DataError(f"{spec.name} has no test part: none was handed in with the images from Python")
    if spec.test_fraction == 0:
        raise DataError(f"{spec.name} has no test part of its own, and data.test_fraction is 0: no images to test on")
    return _part(source.train, _parts(source, spec).test, spec)


def describe(spec: DataSpec) -> DataInfo:
    """What `spec` holds and how many images each part gets; decodes the source where the cache doesn't have it.

    Raises:
        DataError: as `load`.
    """
    source = kept(spec)
    parts = _parts(source, spec)
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
    )


def _parts(source: Kept, spec: DataSpec) -> Parts:
    if source.validation is not None:
        none = np.arange(0)
        return Parts(train=share(source.train.labels, spec), validation=none, test=none)
    cut_test = source.test is None and spec.test_fraction > 0
    return split(source.train.labels, source.classes, spec, cut_test=cut_test)


def _shape(source: Kept) -> Shape:
    return source.train.pixels.shape[1:]


def _whole(stored: Stored, spec: DataSpec) -> Part:
    return _part(stored, np.arange(len(stored.labels)), spec)


def _part(stored: Stored, rows: NDArray[np.int64], spec: DataSpec) -> Part:
    threads = spec.decode_workers or os.cpu_count() or 1
    streamed = StreamedSet(stored.pixels, rows, torch.from_numpy(stored.labels[rows]), threads)
    return streamed if spec.streaming == ALWAYS else streamed.take(np.arange(len(rows)))
