"""Batches from a set of images, whether it lives on the device as a whole or is streamed there: the very same ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from nas.config.data import DataSpec
from nas.data.augment import augmentation, seeded
from nas.data.dataset import Part
from nas.data.errors import DataError
from nas.data.images import ImageData
from nas.data.statistics import Shape

Batch = tuple[Tensor, Tensor]
Share = Callable[[int], slice]
"""Which rows of a batch of so many images somebody will look at."""

CHUNK, CHUNK_VALUES = 2048, 512 * 3 * 32 * 32
"""Images that are prepared at once, and entries of them: 6 MiB as float32, where four times as many halve the speed."""


class TensorLoader:
    """Normalised batches of one set; shuffled and augmented where it is given an augmentation.

    Everything random in an epoch follows from `seed` and the epoch alone, never from what was drawn before: a training
    resumed at epoch e sees the same batches, bit for bit, as one that was never stopped. torch's global random state is
    left as it was.

    Small images are normalised and augmented about 2,048 at a time and then cut into batches, since the calls cost more
    than the work; large ones batch by batch.

    Training batches (with an augmentation, even an empty one) all have `batch_size` images: the incomplete last one is
    left out, as batch normalisation fails on a single image. A set smaller than `batch_size` is one batch. Without an
    augmentation, every image comes once, in order.

    Args:
        part: the images and labels; what is held in memory is moved to `device` at once.
        batch_size: images a batch, at least 1.
        statistics: mean and standard deviation of each channel, of pixels scaled to [0, 1].
        augment: maps normalised (B, C, H, W) float32 to the same shape, drawing from torch's global generators; None to
            validate.
        seed: at least 0.
        device: where the batches come out.

    Raises:
        DataError: a batch size below 1, a negative seed, or no images.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        statistics: tuple[tuple[float, ...], tuple[float, ...]],
        *,
        augment: torch.nn.Module | None = None,
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
        mean, std = (torch.tensor(values, device=self._device)[:, None, None] for values in statistics)  # (C, 1, 1)
        # (x / 255 - mean) / std as one multiplication and one addition.
        self._scale, self._offset = 1 / (255 * std), -mean / std

    def __len__(self) -> int:
        """Batches an epoch."""
        whole, rest = divmod(len(self._part), self.batch_size)
        dropped = self._augment is not None and whole > 0
        return whole if dropped or not rest else whole + 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, whose batches the next pass yields."""
        if epoch < 0:
            raise DataError(f"epoch must be at least 0, got {epoch}")
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the chosen epoch: images (B, C, H, W) float32 and labels (B,) int64.

        Raises:
            DataError: an image that can't be read any more; names it.
        """
        epoch = self.epoch
        order = self._order(epoch)[: len(self) * self.batch_size]
        chunks = self._part.chunks(order, chunk_size(self._part.shape, self.batch_size))
        for number, (pixels, labels) in enumerate(chunks):
            images = self._prepare(pixels, epoch, number)
            yield from zip(torch.split(images, self.batch_size), torch.split(labels, self.batch_size), strict=True)

    def _order(self, epoch: int) -> Tensor:
        count = len(self._part)
        if self._augment is None:
            return torch.arange(count)
        generator = torch.Generator().manual_seed(_mix(self._seed, epoch, 0))
        return torch.randperm(count, generator=generator)

    @torch.no_grad()
    def _prepare(self, pixels: Tensor, epoch: int, number: int) -> Tensor:
        """(B, C, H, W) uint8 normalised and augmented: float32 of the same shape."""
        images = torch.addcmul(self._offset, pixels, self._scale)
        if self._augment is None:
            return images
        with seeded(_mix(self._seed, epoch, 1 + number), self._device):
            augmented: Tensor = self._augment(images)
        return augmented


def train_loader(
    data: ImageData,
    spec: DataSpec,
    batch_size: int,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    share: Share | None = None,
) -> TensorLoader:
    """Shuffled, augmented batches of `data.train`, as `spec` says.

    With a `share`, the rows of a batch that are in it are what they are without; the others may be anything.
    """
    augment, part = augmentation(spec, data.shape), shared(data.train, batch_size, share)
    return TensorLoader(part, batch_size, (data.mean, data.std), augment=augment, seed=seed, device=device)


def plain_loader(
    data: ImageData,
    batch_size: int,
    *,
    part: Part | None = None,
    device: torch.device | str = "cpu",
    share: Share | None = None,
) -> TensorLoader:
    """Every image once, in order: of `data.validation`, or of `part` (a test part) normalised like the training was.

    With a `share`, the rows of a batch that are in it are what they are without; the others may be anything.
    """
    part = shared(data.validation if part is None else part, batch_size, share)
    return TensorLoader(part, batch_size, (data.mean, data.std), device=device)


def shared(part: Part, batch_size: int, share: Share | None) -> Part:
    """A part of which a loader of `batch_size` reads a share of every batch alone; all of it without a share."""
    if share is None:
        return part

    def needed(count: int) -> list[slice]:
        starts = range(0, count, batch_size)
        rows = [(start, share(min(batch_size, count - start))) for start in starts]
        return [slice(start + some.start, start + some.stop) for start, some in rows]

    return part.only(needed)


def chunk_size(shape: Shape, batch_size: int) -> int:
    """Images of (C, H, W) that are prepared at once: whole batches, at least one.

    >>> chunk_size((3, 32, 32), 128), chunk_size((3, 224, 224), 128)
    (512, 128)
    """
    images = min(CHUNK, CHUNK_VALUES // math.prod(shape))
    return max(1, images // batch_size) * batch_size


def _mix(seed: int, epoch: int, draw: int) -> int:
    """One 63-bit seed of three numbers; near ones give unrelated seeds, which adding them would not."""
    word = np.random.SeedSequence((seed, epoch, draw)).generate_state(1, np.uint64)[0]
    return int(word >> 1)
