"""Images in memory: the training and validation parts of a source, and its test part by a door of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.cache import Decoded, Stored, decoded
from nas.data.errors import DataError
from nas.data.spec import DataSpec
from nas.data.split import Parts, share, split

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images of one part.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(f"images must be uint8 (N, C, H, W), got {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels must be int64, one an image ({len(self.images)}), "
                f"got {self.labels.dtype} {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)


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

    train: ImageSet
    validation: ImageSet
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
    """

    name: str
    shape: Shape
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    fingerprint: str
    test_fingerprint: str | None


def load(spec: DataSpec) -> ImageData:
    """The training and validation parts of `spec`, decoded at the first call and from the cache afterwards.

    Raises:
        DataError: the source or the cache can't be had, or the source can't be split.
    """
    source = decoded(spec)
    parts = _parts(source, spec)
    mean, std = mean_and_std(source.train.moments[parts.train], _shape(source))
    return ImageData(
        train=_take(source.train, parts.train),
        validation=_whole(source.validation) if source.validation else _take(source.train, parts.validation),
        classes=source.classes,
        mean=mean,
        std=std,
        fingerprint=source.train.fingerprint,
        shape=_shape(source),
    )


def load_test(spec: DataSpec) -> ImageSet:
    """The test part of `spec`, for networks that were retrained after a search and for nothing else.

    Raises:
        DataError: as `load`, or there is no test part.
    """
    source = decoded(spec)
    if source.test is not None:
        return _whole(source.test)
    if source.validation is not None:
        raise DataError(f"{spec.name} has no test part: none was handed in with the images from Python")
    if spec.test_fraction == 0:
        raise DataError(f"{spec.name} has no test part of its own, and data.test_fraction is 0: no images to test on")
    return _take(source.train, _parts(source, spec).test)


def describe(spec: DataSpec) -> DataInfo:
    """What `spec` holds and how many images each part gets; decodes the source where the cache doesn't have it.

    Raises:
        DataError: as `load`.
    """
    source = decoded(spec)
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
    )


def mean_and_std(moments: NDArray[np.int64], shape: Shape) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of pixels scaled to [0, 1].

    Args:
        moments: (N, C, 2), for each image and channel the sum of its pixels and of their squares.
        shape: (C, H, W) of the images.

    Returns:
        The means and the deviations; a deviation is at least 1/255, so that a constant channel can be divided by it.
    """
    count = len(moments) * shape[1] * shape[2]
    totals = moments.sum(axis=0)  # (C, 2)
    # Exact in integers: n·Σx² - (Σx)² loses nothing to cancellation.
    variances = [count * int(squares) - int(total) ** 2 for total, squares in totals]
    mean = tuple(int(total) / count / 255 for total, _ in totals)
    return mean, tuple(max(variance**0.5 / count, 1.0) / 255 for variance in variances)


def _parts(source: Decoded, spec: DataSpec) -> Parts:
    if source.validation is not None:
        none = np.arange(0)
        return Parts(train=share(source.train.labels, spec), validation=none, test=none)
    cut_test = source.test is None and spec.test_fraction > 0
    return split(source.train.labels, source.classes, spec, cut_test=cut_test)


def _shape(source: Decoded) -> Shape:
    _, channels, height, width = source.train.images.shape
    return channels, height, width


def _whole(stored: Stored) -> ImageSet:
    return _take(stored, np.arange(len(stored.labels)))


def _take(stored: Stored, indices: NDArray[np.int64]) -> ImageSet:
    return ImageSet(torch.from_numpy(stored.images[indices]), torch.from_numpy(stored.labels[indices]))
