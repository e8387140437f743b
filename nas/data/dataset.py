"""Labelled images of one part: held in memory, or streamed from disk in batches."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data.copies import Copied, CopyStream, place
from nas.data.decode import BLOCK, BLOCK_BYTES, reader_pool
from nas.data.errors import DataError
from nas.data.pixel_store import JoinedStore, Store
from nas.data.statistics import Shape

CPU = torch.device("cpu")
AHEAD = 2
"""Chunks that are read or decoded ahead of the one in use."""
SLABS = 2
"""Slabs of a chunk for each thread: with several, no thread waits long for the slowest."""
LARGEST_SLAB = 64
"""Largest number of images in a slab."""

Runs = Callable[[int], Sequence[slice]]
"""From the number of images in a chunk to the rows that are needed, as ascending slices."""

Indices = NDArray[np.int64]  # (n,)
RawBatch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) uint8 and labels (B,) int64, on one device."""


def blocks(part: Part) -> Iterator[NDArray[np.uint8]]:
    """Yield all images of a part in their order, a few megabytes at a time: (n, C, H, W)."""
    size = max(1, min(BLOCK, BLOCK_BYTES // math.prod(part.shape)))
    for images, _ in part.on(CPU).chunks(torch.arange(len(part)), size):
        yield images.numpy()


class Part(Protocol):
    """Labelled images of one part, in memory or on disk."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64."""
        ...

    @property
    def shape(self) -> Shape:
        """(C, H, W) of every image."""
        ...

    def __len__(self) -> int:
        """Return the number of images, N."""
        ...

    def take(self, rows: Indices) -> ImageSet:
        """Return the images at `rows`, in memory."""
        ...

    def on(self, device: torch.device) -> Part:
        """Return the same part with its chunks on `device`."""
        ...

    def restricted_to(self, needed: Runs) -> Part:
        """Return the same part, in whose chunks the rows that are not needed are undefined."""
        ...

    def chunks(self, order: Tensor, size: int) -> Iterator[RawBatch]:
        """Yield the images at `order` (n,) in chunks of `size`.

        Raises:
            DataError: an image can't be read any more; the message names it.
        """
        ...


@final
@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images in the memory of one device.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
    """

    images: Tensor
    labels: Tensor

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

    @property
    def shape(self) -> Shape:
        """(C, H, W) of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def take(self, rows: Indices) -> ImageSet:
        """Return the images at `rows`."""
        return ImageSet(self.images[rows], self.labels[rows])

    def on(self, device: torch.device) -> ImageSet:
        """Return the same images in the memory of `device`."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def restricted_to(self, needed: Runs) -> ImageSet:  # noqa: ARG002 - of the protocol; all images are in memory
        """Return the same images."""
        return self

    def chunks(self, order: Tensor, size: int) -> Iterator[RawBatch]:
        """Yield the images at `order` (n,) in chunks of `size`."""
        for chunk in torch.split(place(order, self.images.device), size):
            # An index would take five times as long.
            yield self.images.index_select(0, chunk), self.labels.index_select(0, chunk)


@final
@dataclass(frozen=True, eq=False)
class StreamedSet:
    """Labelled images on disk that threads read or decode a few chunks ahead.

    Threads rather than processes: Pillow decodes and the system reads outside Python's lock, and a training's process
    may have no children. At most `AHEAD` + 2 chunks are in memory (those being read, and the one in use, which is
    released after the next is requested), and one picture in its full size for each thread.

    Attributes:
        store: pixels of the image set.
        rows: (N,) indices of this part's images in the store.
        labels: (N,) int64 on the CPU.
        threads: threads that read, at least 1.
        device: device of the chunks.
        needed: rows of a chunk that are read, the others being zeros; None for all.
    """

    store: Store
    rows: Indices
    labels: Tensor
    threads: int = 1
    device: torch.device = CPU
    needed: Runs | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise DataError(f"at least one thread must read, got {self.threads}")
        if len(self.labels) != len(self.rows):
            raise DataError(f"every image needs a label, got {len(self.rows)} and {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> Shape:
        """(C, H, W) of every image."""
        return self.store.shape[1:]

    def take(self, rows: Indices) -> ImageSet:
        """Return the images at `rows`, in memory."""
        with reader_pool(self.threads) as pool:
            images = replace(self, needed=None)._begin(pool, self.rows[rows]).result()
        return ImageSet(images.to(self.device), self.labels[torch.from_numpy(np.asarray(rows))].to(self.device))

    def on(self, device: torch.device) -> StreamedSet:
        """Return the same images with their chunks on `device`."""
        return replace(self, device=device)

    def restricted_to(self, needed: Runs) -> StreamedSet:
        """Return the same images; of a chunk only the needed rows are read."""
        return replace(self, needed=needed)

    def chunks(self, order: Tensor, size: int) -> Iterator[RawBatch]:
        """Yield the images at `order` (n,) in chunks of `size`."""
        begun: deque[tuple[_Chunk, Tensor]] = deque()
        copies = CopyStream(self.device) if self.device.type == "cuda" else None
        with reader_pool(self.threads) as pool:
            for indices in torch.split(order, size):
                chunk = self._begin(pool, self.rows[indices.numpy()])
                begun.append((chunk if copies is None else chunk.copied(pool, copies), indices))
                if len(begun) > AHEAD:
                    yield self._finish(*begun.popleft())
            while begun:
                yield self._finish(*begun.popleft())

    def _begin(self, pool: ThreadPoolExecutor, rows: Indices) -> _Chunk:
        runs = [slice(0, len(rows))] if self.needed is None else self.needed(len(rows))
        make = torch.empty if self.needed is None else torch.zeros
        images = make((len(rows), *self.shape), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        out = images.numpy()
        count = sum(run.stop - run.start for run in runs)
        length = max(1, min(LARGEST_SLAB, math.ceil(count / (SLABS * self.threads))))
        slabs = [slice(at, min(at + length, run.stop)) for run in runs for at in range(run.start, run.stop, length)]
        return _Chunk(images, [pool.submit(self.store.read, rows[slab], out[slab]) for slab in slabs])

    def _finish(self, chunk: _Chunk, indices: Tensor) -> RawBatch:
        return chunk.result(), place(self.labels[indices], self.device)


def joined(first: Part, second: Part) -> Part:
    """Return the images of two parts of one shape as one part, in memory unless both are on disk."""
    labels = torch.cat([first.labels.cpu(), second.labels.cpu()])
    if isinstance(first, StreamedSet) and isinstance(second, StreamedSet):
        if first.store is second.store:
            return replace(first, rows=np.concatenate([first.rows, second.rows]), labels=labels)
        rows = np.concatenate([first.rows, second.rows + first.store.shape[0]])
        return replace(first, store=JoinedStore(first.store, second.store), rows=rows, labels=labels)
    held = [part.take(np.arange(len(part))).on(CPU) for part in (first, second)]
    return ImageSet(torch.cat([part.images for part in held]), labels)


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Images that threads fill slab by slab, and then copy to a GPU if there is one."""

    images: Tensor
    slabs: list[Future[None]]
    copy: Future[Copied] | None = None

    def copied(self, pool: ThreadPoolExecutor, copies: CopyStream) -> _Chunk:
        """Return the chunk with a copy to the GPU, which begins once its images are read."""
        return replace(self, copy=pool.submit(copies.copy, self.read))

    def read(self) -> Tensor:
        """Return the images once all are read; raise the first error in their order."""
        for slab in self.slabs:
            slab.result()
        return self.images

    def result(self) -> Tensor:
        """Return the images on their device, once all are read; raise the first error in their order."""
        return self.read() if self.copy is None else self.copy.result().received()
