"""Where the pixels of a set lie on disk: decoded already, or as the encoded pictures that they come from.

Files are read at their places, not mapped into memory: what the system caches of them then counts to no process, and a
file that was cut short is an error where a map would end the process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, final

import numpy as np
from numpy.typing import NDArray

from nas.data.decode import Entry, Look, Pixels, decode
from nas.data.errors import DataError

Rows = NDArray[np.int64]  # (n,)
Images = NDArray[np.uint8]  # (N, C, H, W)


class Store(Protocol):
    """The pixels of one part, read by rows; any number of threads may read at once."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        ...

    def read(self, rows: Rows, out: Images) -> None:
        """Write the images at `rows` into `out`, which has as many.

        Raises:
            DataError: a file that can't be read, or doesn't hold what it held; names it.
        """
        ...


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
        """The images in `path`.

        Raises:
            ValueError: the file does not hold an array of whole uint8 images.
            OSError: it can't be read.
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
    """Pictures that are decoded whenever they are read.

    Attributes:
        entries: a file of the pictures' paths, or of the pictures themselves, one after the other.
        ends: (N + 1,) int64, in the file: 0, and where each one ends.
        origin: names where the pictures came from that the file holds; None where it holds paths.
        shape: (N, C, H, W) of the decoded images.
        resolution: as in `Look`.
        sums: (N, C) int64, of the pixels of each image when the set was first seen.
    """

    entries: Path
    ends: NDArray[np.int64]
    origin: str | None
    shape: tuple[int, int, int, int]
    resolution: int | None
    sums: NDArray[np.int64]

    def read(self, rows: Rows, out: Images) -> None:
        """Decode one image after the other; what is in memory beside `out` is one picture in its full size."""
        with self._opened() as file:
            for place, row in enumerate(rows):
                out[place] = self._decode(file, int(row))

    def _opened(self) -> BinaryIO:
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
        pixels = decode(entry, Look(self.resolution, self.shape[1]))
        # Another picture under the same name, or another version of a decoder, would be another data set.
        if pixels.shape != self.shape[1:] or (pixels.sum((1, 2), dtype=np.int64) != self.sums[row]).any():
            raise DataError(f"images must not change while they are searched on, {entry.where} is not what it was")
        return pixels


def _fill(file: BinaryIO, offset: int, out: memoryview) -> None:
    """Read bytes from `offset` on until `out` is full."""
    while out:
        count = os.preadv(file.fileno(), [out], offset)
        if not count:
            raise OSError("it has been cut short")
        out, offset = out[count:], offset + count
