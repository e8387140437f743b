"""Images that a search trains and validates on, and the test part by a function of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nas.config.data import ALWAYS, DataSpec
from nas.data.cache import CachedPart, cached_source
from nas.data.dataset import Part, StreamedSet, joined
from nas.data.errors import DataError
from nas.data.info import shape_of, split_of
from nas.data.normalise import Statistics
from nas.data.statistics import Shape, mean_and_std


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images that a search trains and validates on. There is no test part, so that no search can use it.

    Attributes:
        train: images to train on.
        validation: images to validate on.
        classes: names of the classes, in the order of the labels.
        mean: of each channel over `train`, pixels scaled to [0, 1], unless the configuration gives another.
        std: standard deviation likewise, at least 1/255.
        fingerprint: SHA-256 of pixels, labels and class names of the source's training part, before the validation
            part is cut off.
        shape: (C, H, W) of every image.
        scales: of signals, the value of each channel that became pixel 0, and the one that became 255.
    """

    train: Part
    validation: Part
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    shape: Shape
    scales: tuple[tuple[float, float], ...] = ()


def load(spec: DataSpec) -> ImageData:
    """Return the training and validation parts, decoded at the first call and read from the cache afterwards.

    They are streamed if `spec.streaming` is `always` and held in memory otherwise; `resolve_streaming` decides `auto`.

    Raises:
        DataError: the source or the cache can't be read, or the source can't be split.
    """
    source = cached_source(spec)
    parts = split_of(source, spec)
    mean, std = _statistics(source.train.moments[parts.train], shape_of(source), spec)
    return ImageData(
        train=_part(source.train, parts.train, spec),
        validation=(
            _whole(source.validation, spec) if source.validation else _part(source.train, parts.validation, spec)
        ),
        classes=source.classes,
        mean=mean,
        std=std,
        fingerprint=source.train.fingerprint,
        shape=shape_of(source),
        scales=source.scales,
    )


def load_whole(spec: DataSpec) -> ImageData:
    """Return the images of `load` with those of the validation part among the training images, too.

    They are for a network that is chosen: no image is left to validate on. Mean and deviation are of all of them.

    Raises:
        DataError: as for `load`.
    """
    data = load(spec)
    mean, std = whole_statistics(spec)
    return replace(data, train=joined(data.train, data.validation), mean=mean, std=std)


def whole_statistics(spec: DataSpec) -> Statistics:
    """Return mean and deviation of each channel over the training and the validation part, unless `spec` has others.

    Raises:
        DataError: as for `load`.
    """
    source = cached_source(spec)
    parts = split_of(source, spec)
    held_out = source.validation.moments if source.validation else source.train.moments[parts.validation]
    moments = np.concatenate([source.train.moments[parts.train], held_out])
    return _statistics(moments, shape_of(source), spec)


def _statistics(moments: NDArray[np.int64], shape: Shape, spec: DataSpec) -> Statistics:
    """Return mean and deviation of each channel: those of `spec`, or else of the images with these moments.

    Raises:
        DataError: those of `spec` are of another number of channels.
    """
    if not spec.mean:
        return mean_and_std(moments, shape)
    if len(spec.mean) != shape[0]:
        raise DataError(
            f"data.mean must be one number for each channel of {spec.name}, of which there are {shape[0]}, "
            f"got {len(spec.mean)}"
        )
    return spec.mean, spec.std


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
    return _part(source.train, split_of(source, spec).test, spec)


def _whole(stored: CachedPart, spec: DataSpec) -> Part:
    return _part(stored, np.arange(len(stored.labels)), spec)


def _part(stored: CachedPart, rows: NDArray[np.int64], spec: DataSpec) -> Part:
    threads = spec.decode_workers or os.cpu_count() or 1
    streamed = StreamedSet(stored.pixels, rows, torch.from_numpy(stored.labels[rows]), threads)
    return streamed if spec.streaming == ALWAYS else streamed.take(np.arange(len(rows)))
