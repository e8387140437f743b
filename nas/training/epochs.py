"""The batches of a training, cut into the parts whose gradients are added up, and its validation batches.

A batch may be cut because its step needs too much memory for one pass, or because several processes share it. Both are
the same cut: over k processes in m parts each, a batch has k × m parts, and process r works on the parts from r × m on.
So a training over k processes is the training of one process in k × m parts, whatever the parts hold of chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.jobs.hashes import derived_seed
from nas.training.batches import Batch, TrainLoader, ValLoader
from nas.training.ranks import Ranks

Part = tuple[Tensor, Tensor, float]
"""Images (b, C, H, W), labels (b,), and which share of their batch they are, in (0, 1]."""


def epoch_seed(seed: int, epoch: int, part: int | None = None) -> int:
    """The seed of all that torch draws in epoch `epoch` (0-based) of the trial seeded by `seed`, below 2**63.

    Args:
        seed: the trial's seed.
        epoch: the epoch.
        part: a part of a batch, counted from 0 over the epoch; None for the whole epoch.
    """
    text = f"{seed}/{epoch}" if part is None else f"{seed}/{epoch}/{part}"
    return derived_seed(text, 63)


def cut(batch: Batch, parts: int) -> list[Part]:
    """A batch in `parts` contiguous parts that differ by one image at most.

    Raises:
        ValueError: there are fewer images than parts.

    >>> [len(labels) for _, labels, _ in cut((torch.zeros(7, 1, 2, 2), torch.zeros(7)), 3)]
    [3, 2, 2]
    """
    images, labels = batch
    if len(labels) < parts:
        raise ValueError(f"a batch must have an image for each of its {parts} parts, got {len(labels)}")
    pieces = zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)
    return [(some, theirs, len(theirs) / len(labels)) for some, theirs in pieces]


def own_rows(images: int, ranks: Ranks, micro_batches: int = 1) -> slice:
    """The rows of a batch of so many images that are in this process's parts, as `cut` makes them.

    >>> own_rows(7, Ranks(1, 3)), own_rows(9, Ranks(1, 2), micro_batches=2)
    (slice(3, 5, None), slice(5, 9, None))
    """
    size, larger = divmod(images, ranks.count * micro_batches)
    first, after = ranks.index * micro_batches, (ranks.index + 1) * micro_batches
    return slice(first * size + min(first, larger), after * size + min(after, larger))


@dataclass
class SeededEpochs:
    """The parts of the training batches that are this process's, epoch after epoch.

    Everything random about an epoch is set where its first batch is asked for, and where a batch is cut, anew for each
    part: dropout in a part is the same whichever process works on it.

    Attributes:
        loader: gives whole batches, the same ones in every process as far as each looks at them (`own_rows`).
        seed: the trial's seed.
        epoch: the epoch that the next pass yields, 0-based.
        micro_batches: parts of a batch that one process works on.
        ranks: the processes that share every batch.
    """

    loader: TrainLoader
    seed: int
    epoch: int
    micro_batches: int
    ranks: Ranks

    def __len__(self) -> int:
        return len(self.loader) * self.micro_batches

    def __iter__(self) -> Iterator[Part]:
        # Lightning asks for the first epoch's iterator before the training starts. As a generator, this one does
        # nothing until the first batch is wanted, so that the first epoch of a job is like any other.
        epoch, self.epoch = self.epoch, self.epoch + 1
        torch.manual_seed(epoch_seed(self.seed, epoch))
        self.loader.set_epoch(epoch)
        parts = self.ranks.count * self.micro_batches
        if parts == 1:
            yield from ((images, labels, 1.0) for images, labels in self.loader)
            return
        first = self.ranks.index * self.micro_batches
        for number, batch in enumerate(self.loader):
            for index, part in enumerate(cut(batch, parts)[first : first + self.micro_batches], start=first):
                torch.manual_seed(epoch_seed(self.seed, epoch, number * parts + index))
                yield part


@dataclass(frozen=True)
class ValidationShare:
    """The validation images that are this process's: of every batch its contiguous part, so that each counts once.

    Attributes:
        loader: gives whole batches, the same ones in every process as far as each looks at them (`own_rows`).
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
