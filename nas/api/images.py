"""Images and labels as people have them: arrays and tensors of several layouts, labels of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search_space.limits import shown

MOST_COLOURS = 4
"""Most channels of an array of images whose layout is told by its extents."""


def as_images(images: Any, image_shape: Sequence[int] | None = None) -> Tensor:
    """Return images as a tensor (N, C, H, W), their values unchanged.

    A torch tensor has this layout, or (N, H, W) with one channel. An array may also be (n, h, w, c): the channels are
    then the one of the second and the last extent that is at most 4.

    Args:
        images: tensor or array.
        image_shape: shape of one image, for images whose pixels stand in one row, as other estimators take them.

    Raises:
        ValueError: images in a layout that can't be told.
    """
    if isinstance(images, Tensor):
        found, ordered = images, True
    else:
        found, ordered = torch.from_numpy(_own(np.asarray(images))), False
    if found.ndim == 2:
        found = _unfolded(found, image_shape)
    if found.ndim == 3:
        return found[:, None]
    if found.ndim != 4:
        raise ValueError(
            f"images must be (n, h, w), (n, h, w, c) or (n, c, h, w), got {found.ndim} dimensions: {tuple(found.shape)}"
        )
    return found if ordered or _is_channels_first(found) else found.permute(0, 3, 1, 2)


def _own(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that torch can share: contiguous, writable, in the byte order and a width of this machine.

    Raises:
        ValueError: it does not hold numbers.
    """
    if array.dtype.kind not in "uifb":
        raise ValueError(f"images must be an array of numbers, got {array.dtype}")
    native = np.dtype(np.float64) if array.dtype.kind == "f" and array.itemsize > 8 else array.dtype.newbyteorder("=")
    shared: NDArray[Any] = np.ascontiguousarray(array, dtype=native)
    return shared if shared.flags.writeable else shared.copy()


def _unfolded(rows: Tensor, image_shape: Sequence[int] | None) -> Tensor:
    """Return images from rows of pixels."""
    if image_shape is None:
        raise ValueError(
            f"images must be (n, h, w), (n, h, w, c) or (n, c, h, w), got rows of pixels {tuple(rows.shape)}: "
            "image_shape=(h, w) says their shape"
        )
    shape = tuple(int(extent) for extent in image_shape)
    if len(shape) not in (2, 3) or int(np.prod(shape)) != rows.shape[1]:
        raise ValueError(f"image_shape must have {rows.shape[1]} pixels, as each row has, got {shape}")
    return rows.reshape(len(rows), *shape)


def _is_channels_first(images: Tensor) -> bool:
    """Return whether the channels of an array stand in front of height and width."""
    first, last = (extent <= MOST_COLOURS for extent in (images.shape[1], images.shape[3]))
    if first != last:
        return first
    raise ValueError(
        f"the channels of images must be their second or last extent, at most {MOST_COLOURS} and the other one more, "
        f"got {tuple(images.shape)}: a torch tensor is always (n, c, h, w)"
    )


@final
@dataclass(frozen=True, eq=False)
class Classes:
    """Classes of labelled images.

    Attributes:
        labels: (k,) labels of the classes as they were given: sorted distinct ones, positions, or names.
        names: names of the classes.
    """

    labels: NDArray[Any]
    names: tuple[str, ...]

    @classmethod
    def of(cls, labels: Any, names: Sequence[str] | None) -> Classes:
        """Return the classes of labels.

        Args:
            labels: a label an image.
            names: names of the classes, of which numbers are positions; None for the sorted distinct labels.

        Raises:
            ValueError: labels of more than one dimension, or missing ones.
        """
        given = _labels(labels)
        if names is None:
            try:
                found = np.unique(given)
            except TypeError as error:
                raise ValueError(f"labels must be of one kind, {error}") from error
            return cls(found, tuple(_name(label) for label in found.tolist()))
        named = np.array(tuple(map(str, names)))
        return cls(np.arange(len(named)) if given.dtype.kind in "iuf" else named, tuple(named.tolist()))

    def positions(self, labels: Any) -> Tensor:
        """Return labels as positions among the classes.

        Raises:
            ValueError: a label is no class.
        """
        given = _labels(labels)
        places = {label: place for place, label in enumerate(self.labels.tolist())}
        unknown = next((label for label in given.tolist() if label not in places), None)
        if unknown is not None:
            raise ValueError(f"a label must be one of the classes {shown(list(places))}, got {shown(unknown)}")
        return torch.tensor([places[label] for label in given.tolist()], dtype=torch.int64)


def _labels(labels: Any) -> NDArray[Any]:
    given = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if given.ndim != 1:
        raise ValueError(f"labels must be one an image, (n,), got {given.ndim} dimensions: {given.shape}")
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise ValueError("labels must be known, got one that is not finite")
    return given


def _name(label: object) -> str:
    """Return the name of a label; a whole number without decimals."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
