"""Pixels of an image set on disk: decoded, or encoded and decoded at every read.

Files are read by position and not memory-mapped: cached pages then count to no process, and a truncated file raises an
error, whereas access to a truncated map ends the process with SIGBUS.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, final

import numpy as np
from numpy.typing import NDArray

from nas.data.decode import Entry, PixelFormat, Pixels, decode
from nas.data.errors import DataError

Rows = NDArray[np.int64]  # (n,)
Images = NDArray[np.uint8]  # (N, C, H, W)


class Store(Protocol):
    """Pixels of one part, read by rows; any number of threads may read at once."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        ...

    def read(self, rows: Rows, out: Images) -> None:
        """Write the images at `rows` (n,) into `out` (n, C, H, W).

        Raises:
            DataError: a file can't be read, or its content has changed; the message names it.
        """
        ...


@final
@dataclass(frozen=True, eq=False)
class JoinedStore:
    """Pixels of two parts, those of the second behind those of the first.

    Attributes:
        first: (N, C, H, W).
        second: (M, C, H, W).
    """

    first: Store
    second: Store

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N + M, C, H, W)."""
        count, *image = self.first.shape
        channels, height, width = image
        return count + self.second.shape[0], channels, height, width

    def read(self, rows: Rows, out: Images) -> None:
        """Read the rows of each part."""
        count = self.first.shape[0]
        for store, offset, own in ((self.first, 0, rows < count), (self.second, count, rows >= count)):
            places = np.flatnonzero(own)
            if len(places):
                images = np.empty((len(places), *out.shape[1:]), dtype=np.uint8)
                store.read(rows[places] - offset, images)
                out[places] = images


@final
@dataclass(frozen=True)
class DecodedStore:
    """Decoded images in a .npy file.

    Attributes:
        path: the file.
        offset: bytes before the first image.
        shape: (N, C, H, W).
    """

    path: Path
    offset: int
    shape: tuple[int, int, int, int]

    @classmethod
    def open(cls, path: Path) -> DecodedStore:
        """Open the images in `path`.

        Raises:
            ValueError: the file does not hold a complete uint8 array of images.
            OSError: the file can't be read.
        """
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, by_columns, kind = np.lib.format.read_array_header_1_0(file)
            offset, size = file.tell(), os.fstat(file.fileno()).st_size
        if kind != np.uint8 or by_columns or len(shape) != 4 or size != offset + np.prod(shape, dtype=np.int64):
            raise ValueError(f"images must be whole uint8 (N, C, H, W) arrays, got {kind} {shape} in {size} bytes")
        count, channels, height, width = shape
        return cls(path, offset, (count, channels, height, width))

    def read(self, rows: Rows, out: Images) -> None:
        """Read runs of neighbouring rows in one go each."""
        length = out[:1].nbytes
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        try:
            with self.path.open("rb", buffering=0) as file:
                for first, last in zip(starts, [*starts[1:], len(rows)], strict=True):
                    _fill(file, self.offset + int(rows[first]) * length, out[first:last].data.cast("B"))
        except OSError as error:
            raise DataError(f"cached images must stay where they are, {self.path} can't be read: {error}") from error


@final
@dataclass(frozen=True, eq=False)
class EncodedStore:
    """Encoded pictures that are decoded at every read.

    Attributes:
        entries: file of the joined paths of the pictures, or of the joined pictures.
        ends: (N + 1,) int64 offsets in the file: 0, and the end of each entry.
        origin: name of the source of the pictures in the file; None if the file holds paths.
        shape: (N, C, H, W) of the decoded images.
        resolution: as in `PixelFormat`.
        sums: (N, C) int64, sum of each image's pixels when the cache was built.
    """

    entries: Path
    ends: NDArray[np.int64]
    origin: str | None
    shape: tuple[int, int, int, int]
    resolution: int | None
    sums: NDArray[np.int64]

    def read(self, rows: Rows, out: Images) -> None:
        """Decode image by image; only one picture in its full size is in memory beside `out`."""
        with self._open() as file:
            for place, row in enumerate(rows):
                out[place] = self._decode(file, int(row))

    def _open(self) -> BinaryIO:
        try:
            return self.entries.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"the image cache must stay where it is, {self.entries} can't be read: {error}") from error

    def _decode(self, file: BinaryIO, row: int) -> Pixels:
        content = bytearray(self.ends[row + 1] - self.ends[row])
        try:
            _fill(file, int(self.ends[row]), memoryview(content))
        except OSError as error:
            raise DataError(f"the image cache must stay whole, {self.entries} can't be read: {error}") from error
        path = os.fsdecode(bytes(content)) if self.origin is None else None
        entry = Entry(f"row {row} of {self.origin}", bytes(content)) if path is None else Entry(path, Path(path))
        pixels = decode(entry, PixelFormat(self.resolution, self.shape[1]))
        # Another picture of the same name, or another version of the decoder, would change the data set.
        if pixels.shape != self.shape[1:] or (pixels.sum((1, 2), dtype=np.int64) != self.sums[row]).any():
            raise DataError(f"images must not change while they are searched on, {entry.where} is not what it was")
        return pixels


def _fill(file: BinaryIO, offset: int, out: memoryview) -> None:
    """Read bytes from `offset` until `out` is full."""
    while out:
        count = os.preadv(file.fileno(), [out], offset)
        if not count:
            raise OSError("it has been cut short")
        out, offset = out[count:], offset + count
