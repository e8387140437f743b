"""Augmentation of a training: from the pixels of a chunk to normalised images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.config.augmentation import AugmentationSpec
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data.augment.base import Chunk, ChunkAugmentation, MixingAugmentation, PixelAugmentation, take
from nas.data.augment.crop import Crop, cut
from nas.data.augment.flip import Flip, Mirroring, mirror
from nas.data.copies import place
from nas.data.errors import DataError
from nas.data.normalise import Normaliser, as_images
from nas.data.resize import Resizing
from nas.data.statistics import Shape
from search_space.plugins import PluginKind

AUGMENTATION = PluginKind("training.augmentation.NAME.module", "nas.data.augment", "make")


PIECE_VALUES = 100_000
"""Values that a processor cuts at once: all steps stay in its cache. Whole chunks take 1.4 to 2 times as long."""


@dataclass(frozen=True)
class Augmentation:
    """Augmentations in the order in which they are applied.

    Those of pixels come first, then those of normalised images, then those that mix labels; of several that mix labels,
    each batch gets one, drawn with equal probability.

    Attributes:
        pixels: maps images in [0, 1] to the same.
        images: maps normalised images (B, C, H, W) to the same shape.
        mixing: maps normalised images and shares of classes to the same.
        classes: number of classes, of which labels that are mixed are shares.
        resizing: growth of the images over the training, None for full images.
    """

    pixels: tuple[nn.Module, ...] = ()
    images: tuple[nn.Module, ...] = ()
    mixing: tuple[MixingAugmentation, ...] = ()
    classes: int = 0
    resizing: Resizing | None = None

    def __call__(self, pixels: Tensor, labels: Tensor, chunk: Chunk, normalise: Normaliser) -> tuple[Tensor, Tensor]:
        """Augment a chunk.

        Args:
            pixels: (B, C, H, W) uint8.
            labels: (B,) int64.
            chunk: its place in the training.
            normalise: normalisation of the pixels.

        Returns:
            Images (B, C, h, w) float32 of the epoch's size; and the labels, or (B, classes) float32 where they are
            mixed.
        """
        images = self._resized(self._changed(pixels, chunk, normalise), chunk.epoch)
        return self._mixed(images, labels, chunk) if self.mixing else (images, labels)

    def _changed(self, pixels: Tensor, chunk: Chunk, normalise: Normaliser) -> Tensor:
        if self.pixels:
            images = normalise.unit(pixels)
            for augment in self.pixels:
                images = augment(images)
            images, rest = normalise.of_unit(images), self.images
        else:
            head = _head(self.images)
            images, rest = _cut_and_mirrored(pixels, head, chunk, normalise), self.images[len(head) :]
        for augment in rest:
            images = augment(images, chunk) if isinstance(augment, ChunkAugmentation) else augment(images)
        return images

    def _resized(self, images: Tensor, epoch: int) -> Tensor:
        full = (images.shape[2], images.shape[3])
        size = full if self.resizing is None else self.resizing.size(full, epoch)
        return images if size == full else functional.interpolate(images, size, mode="bilinear", antialias=True)

    def _mixed(self, images: Tensor, labels: Tensor, chunk: Chunk) -> tuple[Tensor, Tensor]:
        targets = (labels[:, None] == torch.arange(self.classes, device=labels.device)).to(torch.float32)
        if len(self.mixing) == 1:
            inner = place(partners(len(chunk), chunk.batch), images.device)
            return cast(tuple[Tensor, Tensor], self.mixing[0](images, targets, inner))
        drawn = torch.randint(len(self.mixing), (len(chunk),))[torch.arange(len(chunk)) // chunk.batch]
        parts = [torch.nonzero(drawn == kind)[:, 0] for kind in range(len(self.mixing))]
        mixed = []
        for mix, part in zip(self.mixing, parts, strict=True):
            rows = place(part, images.device)
            inner = place(partners(len(part), chunk.batch), images.device)
            mixed.append(mix(take(images, rows), targets[rows], inner))
        back = place(torch.cat(parts).argsort(), images.device)
        return take(torch.cat([some for some, _ in mixed]), back), torch.cat([some for _, some in mixed])[back]


def partners(count: int, batch: int) -> Tensor:
    """Return the next image of the same batch for each image, the first for the last: (count,) int64.

    The order of the images is drawn in every epoch, and so are then the pairs.

    >>> partners(5, 3).tolist()
    [1, 2, 0, 4, 3]
    """
    rows = torch.arange(count)
    firsts = rows // batch * batch
    return firsts + (rows - firsts + 1) % torch.clamp(count - firsts, max=batch)


def _head(augmentations: Sequence[nn.Module]) -> tuple[nn.Module, ...]:
    """Return the first crop and the first mirroring, as far as the augmentations begin with them."""
    head: list[nn.Module] = []
    for augment in augmentations[:2]:
        kind = next((kind for kind in (Crop, Mirroring) if isinstance(augment, kind)), None)
        if kind is None or any(isinstance(other, kind) for other in head):
            break
        head.append(augment)
    return tuple(head)


def _cut_and_mirrored(pixels: Tensor, head: Sequence[nn.Module], chunk: Chunk, normalise: Normaliser) -> Tensor:
    """Normalise pixels, cut and mirrored.

    Pixels are mirrored before they are normalised, in a quarter of the memory, and before they are cut: the mirror
    image of a window is a window of the mirror image.
    """
    padding, corners, which = 0, None, None
    for augment in head:
        if isinstance(augment, Crop):
            padding, corners = augment.padding, augment.corners(len(chunk))
            continue
        which = cast(Mirroring, augment).mirrored(chunk)
        if corners is not None:
            corners = torch.where(which, 2 * padding - corners[0], corners[0]), corners[1]
    if corners is None:
        return normalise(pixels if which is None else mirror(pixels, which))
    count, channels, height, width = pixels.shape
    images = torch.empty((count, height, width, channels), device=pixels.device)
    size = count if pixels.is_cuda else max(1, PIECE_VALUES // pixels[0].numel())
    for piece in (slice(first, first + size) for first in range(0, count, size)):
        some = pixels[piece] if which is None else mirror(pixels[piece], which[piece])
        cut(normalise.with_border(some, padding), (corners[0][piece], corners[1][piece]), images[piece])
    return as_images(images)


def make_augmentation(spec: DataSpec, recipe: Recipe, shape: Shape, classes: int) -> Augmentation:
    """Return the augmentation of a training.

    Args:
        spec: `crop_padding` and `flip` are read if the recipe names no augmentation.
        recipe: `augmentation`, `progressive_resize` and `epochs` are read.
        shape: (C, H, W) of the images.
        classes: number of classes.

    Raises:
        DataError: there is no such augmentation, or an option is out of range.
    """
    resizing = Resizing.of(recipe)
    if not recipe.augmentation:
        return replace(usual_augmentation(spec), resizing=resizing)
    try:
        made = [make_one(each, shape) for each in recipe.augmentation]
    except ValueError as error:  # where nothing can be trained, as with images that can't be read
        raise DataError(f"training images must be augmented as the recipe says: {error}") from error
    return Augmentation(
        pixels=tuple(each for each in made if isinstance(each, PixelAugmentation)),
        images=tuple(each for each in made if not isinstance(each, PixelAugmentation | MixingAugmentation)),
        mixing=tuple(each for each in made if isinstance(each, MixingAugmentation)),
        classes=classes,
        resizing=resizing,
    )


def usual_augmentation(spec: DataSpec) -> Augmentation:
    """Return the augmentation of a recipe that names none: the `crop_padding` and the `flip` of the images."""
    crop = (Crop(spec.crop_padding),) if spec.crop_padding else ()
    return Augmentation(images=(*crop, *((Flip(),) if spec.flip else ())))


def make_one(spec: AugmentationSpec, shape: Shape) -> nn.Module:
    """Return the augmentation that a configuration names.

    Raises:
        ValueError: there is none, or an option is out of range, or it does not suit the images.
    """
    made = AUGMENTATION.make(spec.module, shape, spec.options)
    if not isinstance(made, nn.Module):
        raise ValueError(f"an augmentation must be a torch module, {spec.module} makes {type(made).__name__}")  # noqa: TRY004 - a user's value
    return made
