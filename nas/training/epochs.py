"""Training batches split into micro-batches, whose gradients are accumulated, and validation batches.

A batch is split because one pass over it needs too much memory, or because several processes share it. Both are the
same split: over k processes with m micro-batches each, a batch has k × m micro-batches, and process r works on those
from r × m on. So a training over k processes equals that of one process with k × m micro-batches, dropout included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nas.jobs.hashes import derived_seed
from nas.training.batches import Batch, TrainLoader, ValLoader
from nas.training.ranks import Ranks
from search_space.packing import PackedNetwork, pack_images

MicroBatch = tuple[Tensor, Tensor, float]
"""Images (b, C, H, W), labels (b,), and their share of the whole batch, in (0, 1]."""


def epoch_seed(seed: int, epoch: int, part: int | None = None) -> int:
    """Return the seed of torch's generator in an epoch of a trial, below 2**63.

    Args:
        seed: the trial's seed.
        epoch: the epoch, 0-based.
        part: a micro-batch, counted from 0 over the epoch; None for the whole epoch.
    """
    text = f"{seed}/{epoch}" if part is None else f"{seed}/{epoch}/{part}"
    return derived_seed(text, 63)


def split_batch(batch: Batch, parts: int) -> list[MicroBatch]:
    """Split a batch into `parts` contiguous micro-batches whose sizes differ by one image at most.

    Raises:
        ValueError: there are fewer images than parts.

    >>> [len(labels) for _, labels, _ in split_batch((torch.zeros(7, 1, 2, 2), torch.zeros(7)), 3)]
    [3, 2, 2]
    """
    images, labels = batch
    if len(labels) < parts:
        raise ValueError(f"a batch must have an image for each of its {parts} parts, got {len(labels)}")
    pieces = zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)
    return [(some, theirs, len(theirs) / len(labels)) for some, theirs in pieces]


def own_rows(images: int, ranks: Ranks, micro_batches: int = 1) -> slice:
    """Return the rows of this process's micro-batches in a batch of so many images, as `split_batch` makes them.

    >>> own_rows(7, Ranks(1, 3)), own_rows(9, Ranks(1, 2), micro_batches=2)
    (slice(3, 5, None), slice(5, 9, None))
    """
    size, larger = divmod(images, ranks.count * micro_batches)
    first, after = ranks.index * micro_batches, (ranks.index + 1) * micro_batches
    return slice(first * size + min(first, larger), after * size + min(after, larger))


@dataclass
class SeededEpochs:
    """Micro-batches of this process, epoch by epoch.

    torch's generator is seeded before the first batch of an epoch and, if batches are split, before each micro-batch:
    dropout in a micro-batch is the same whichever process works on it.

    Attributes:
        loader: whole batches; in every process the same in the rows of `own_rows`.
        seed: the trial's seed.
        epoch: epoch that the next iteration yields, 0-based.
        micro_batches: micro-batches of a batch in one process.
        ranks: the processes that share every batch.
    """

    loader: TrainLoader
    seed: int
    epoch: int
    micro_batches: int
    ranks: Ranks

    def __len__(self) -> int:
        return len(self.loader) * self.micro_batches

    def __iter__(self) -> Iterator[MicroBatch]:
        # Lightning requests the first epoch's iterator before the training starts. This is a generator, which does
        # nothing before the first batch is requested, so that the first epoch of a job is like any other.
        epoch, self.epoch = self.epoch, self.epoch + 1
        torch.manual_seed(epoch_seed(self.seed, epoch))
        self.loader.set_epoch(epoch)
        parts = self.ranks.count * self.micro_batches
        if parts == 1:
            yield from ((images, labels, 1.0) for images, labels in self.loader)
            return
        first = self.ranks.index * self.micro_batches
        for number, batch in enumerate(self.loader):
            for index, part in enumerate(split_batch(batch, parts)[first : first + self.micro_batches], start=first):
                torch.manual_seed(epoch_seed(self.seed, epoch, number * parts + index))
                yield part


@dataclass
class PackedEpochs:
    """Batches of a pack, epoch by epoch: images (B, k·C, H, W) in channels-last memory, labels (B, k) and share 1.

    Each member gets the batches that it would get alone, and its dropout is seeded as if it were alone.

    Attributes:
        network: the pack.
        loaders: batches of each member, as many an epoch in each.
        seeds: seed of each member's trial.
        epoch: epoch that the next iteration yields, 0-based.
    """

    network: PackedNetwork
    loaders: Sequence[TrainLoader]
    seeds: Sequence[int]
    epoch: int

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[MicroBatch]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        self.network.seed([epoch_seed(seed, epoch) for seed in self.seeds])
        for loader in self.loaders:
            loader.set_epoch(epoch)
        for batches in zip(*self.loaders, strict=True):
            images, labels = zip(*batches, strict=True)
            yield pack_images(images), torch.stack(labels, dim=1), 1.0


@dataclass(frozen=True)
class AtOnce:
    """Loader for Lightning of all batches of an epoch as a single one, which is an iterator of the batches."""

    batches: Iterable[Any]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Iterator[Any]]:
        yield iter(self.batches)


@dataclass(frozen=True)
class ValidationShare:
    """Validation images of this process: a contiguous part of every batch, so that each image counts once.

    Attributes:
        loader: whole batches; in every process the same in the rows of `own_rows`.
        ranks: the processes that share every batch.
    """

    loader: ValLoader
    ranks: Ranks

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for images, labels in self.loader:
            own = own_rows(len(labels), self.ranks)
            yield images[own], labels[own]
