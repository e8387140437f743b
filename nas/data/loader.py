"""Batches of an image set, the same whether it is held on the device or streamed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from nas.data.augment.base import Chunk, seeded
from nas.data.augment.pipeline import Augmentation
from nas.data.dataset import Part
from nas.data.errors import DataError
from nas.data.images import ImageData
from nas.data.normalise import Normaliser, Statistics
from nas.data.statistics import Shape

Batch = tuple[Tensor, Tensor]
Share = Callable[[int], slice]
"""From the number of images in a batch to the rows that are needed."""

CHUNK, CHUNK_VALUES = 2048, 512 * 3 * 32 * 32
"""Images, and values of them, that are prepared at once: 6 MiB as float32; four times as many halve the speed."""


class TensorLoader:
    """Normalised batches of one set, shuffled and augmented if an augmentation is given.

    All randomness of an epoch follows from `seed` and the epoch, not from earlier draws: a training resumed at epoch e
    sees the same batches, bit for bit, as an uninterrupted one. torch's global random state is left unchanged.

    Small images are normalised and augmented about 2,048 at a time and then cut into batches, since the calls cost more
    than the work; large ones batch by batch.

    Training batches (with an augmentation, even an empty one) all have `batch_size` images: the incomplete last one is
    dropped, as batch normalisation fails on a single image. A set smaller than `batch_size` is one batch. Without an
    augmentation, every image is yielded once, in order.

    Args:
        part: the images and labels; an `ImageSet` is moved to `device` at once.
        batch_size: images a batch, at least 1.
        statistics: mean and standard deviation of each channel, of pixels scaled to [0, 1].
        augment: augmentation, which draws from torch's global generators; None to validate.
        seed: at least 0.
        device: device of the batches.

    Raises:
        DataError: a batch size below 1, a negative seed, or no images.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        statistics: Statistics,
        *,
        augment: Augmentation | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {batch_size}")
        if seed < 0:
            raise DataError(f"seed must be at least 0, got {seed}")
        if not len(part):
            raise DataError("a loader needs at least one image, got none")
        self.batch_size = batch_size
        self.epoch = 0
        self._seed = seed
        self._augment = augment
        self._device = torch.device(device)
        self._part = part.on(self._device)
        self._normalise = Normaliser(statistics, part.shape, self._device)

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        whole, rest = divmod(len(self._part), self.batch_size)
        dropped = self._augment is not None and whole > 0
        return whole if dropped or not rest else whole + 1

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, 0-based, whose batches the next iteration yields."""
        if epoch < 0:
            raise DataError(f"epoch must be at least 0, got {epoch}")
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the epoch: images (B, C, H, W) float32 and labels.

        Labels are (B,) int64, or (B, classes) float32 with an augmentation that mixes them.

        Raises:
            DataError: an image can't be read any more; the message names it.
        """
        epoch = self.epoch
        order = self._order(epoch)[: len(self) * self.batch_size]
        size = chunk_size(self._part.shape, self.batch_size)
        for number, (pixels, labels) in enumerate(self._part.chunks(order, size)):
            rows = order[number * size : number * size + len(labels)]
            chunk = Chunk(rows, len(self._part), self.batch_size, epoch, self._seed)
            images, targets = self._prepare(pixels, labels, chunk, number)
            yield from zip(torch.split(images, self.batch_size), torch.split(targets, self.batch_size), strict=True)

    def _order(self, epoch: int) -> Tensor:
        count = len(self._part)
        if self._augment is None:
            return torch.arange(count)
        generator = torch.Generator().manual_seed(_mixed_seed(self._seed, epoch, 0))
        return torch.randperm(count, generator=generator)

    @torch.no_grad()
    def _prepare(self, pixels: Tensor, labels: Tensor, chunk: Chunk, number: int) -> Batch:
        """Normalise and augment the `number`-th chunk of an epoch."""
        if self._augment is None:
            return self._normalise(pixels), labels
        with seeded(_mixed_seed(self._seed, chunk.epoch, 1 + number), self._device):
            return self._augment(pixels, labels, chunk, self._normalise)


def train_loader(
    data: ImageData,
    augment: Augmentation,
    batch_size: int,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    share: Share | None = None,
) -> TensorLoader:
    """Return shuffled batches of `data.train`, augmented.

    Args:
        data: the images.
        augment: their augmentation, by `make_augmentation`.
        batch_size: images a batch, at least 1.
        seed: at least 0.
        device: device of the batches.
        share: rows of a batch that are needed, which are the same as without a share; the others are undefined. With an
            augmentation that mixes images, every row is read.
    """
    part = restrict(data.train, batch_size, None if augment.mixing else share)
    return TensorLoader(part, batch_size, (data.mean, data.std), augment=augment, seed=seed, device=device)


def evaluation_loader(
    data: ImageData,
    batch_size: int,
    *,
    part: Part | None = None,
    device: torch.device | str = "cpu",
    share: Share | None = None,
) -> TensorLoader:
    """Return batches of every image once, in order, normalised as in training.

    Args:
        data: the images; `validation` is read unless `part` is given.
        batch_size: images a batch, at least 1.
        part: other images, such as a test part.
        device: device of the batches.
        share: rows of a batch that are needed, which are the same as without a share; the others are undefined.
    """
    part = restrict(data.validation if part is None else part, batch_size, share)
    return TensorLoader(part, batch_size, (data.mean, data.std), device=device)


def restrict(part: Part, batch_size: int, share: Share | None) -> Part:
    """Return a part of which a loader of `batch_size` reads only a share of every batch; None reads all of it."""
    if share is None:
        return part

    def needed(count: int) -> list[slice]:
        starts = range(0, count, batch_size)
        rows = [(start, share(min(batch_size, count - start))) for start in starts]
        return [slice(start + some.start, start + some.stop) for start, some in rows]

    return part.restricted_to(needed)


def chunk_size(shape: Shape, batch_size: int) -> int:
    """Return the number of images of (C, H, W) that are prepared at once: whole batches, at least one.

    >>> chunk_size((3, 32, 32), 128), chunk_size((3, 224, 224), 128)
    (512, 128)
    """
    images = min(CHUNK, CHUNK_VALUES // math.prod(shape))
    return max(1, images // batch_size) * batch_size


def _mixed_seed(seed: int, epoch: int, draw: int) -> int:
    """Return a 63-bit seed of three numbers; unlike of their sum, seeds of similar numbers are unrelated."""
    word = np.random.SeedSequence((seed, epoch, draw)).generate_state(1, np.uint64)[0]
    return int(word >> 1)
