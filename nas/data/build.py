"""Builds what the cache holds of a source, in one pass over its pictures and in bounded memory."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, final

import numpy as np
from numpy.typing import NDArray

from nas.data.decode import Entry, Look, decode_all
from nas.data.errors import DataError
from nas.data.readers import Source, SourcePart
from nas.data.statistics import Shape, moments

RECORD = "meta.json"


@dataclass(frozen=True)
class PartRecord:
    """What the record says of one part.

    Attributes:
        shape: (N, C, H, W).
        fingerprint: SHA-256 of pixels, labels and class names, whichever way they are kept.
        decoded: whether the decoded images are kept, and not the encoded ones or their paths.
        origin: as in `SourcePart`, of images that are kept encoded.
    """

    shape: tuple[int, int, int, int]
    fingerprint: str
    decoded: bool
    origin: str | None


def write_source(source: Source, look: Look, folder: Path, limit: int) -> bool:
    """Write labels, moments and pixels of every part into `folder`, and a record of them.

    Args:
        source: what to write.
        look: what its pictures are made to look like.
        folder: an empty folder.
        limit: bytes that the decoded images of all parts may take; where they would take more, image files are kept by
            their paths, and other pictures encoded as they came.

    Returns:
        Whether the images are kept decoded.

    Raises:
        DataError: a picture that can't be decoded, or pictures of several sizes.
    """
    images = len(source.train.labels) + (0 if source.test is None else len(source.test.labels))

    def fits(shape: Shape) -> bool:
        return images * math.prod(shape) <= limit

    train = _write_part(source.train, (source.classes, look), folder / "train", fits)
    test = None
    if source.test is not None and len(source.test.labels):
        same_look = Look(look.resolution, train.shape[1])
        test = _write_part(source.test, (source.classes, same_look), folder / "test", lambda _: train.decoded)
        if test.shape[1:] != train.shape[1:]:
            raise DataError(
                f"images must be of one size unless data.resolution is set, "
                f"got {train.shape[3]}x{train.shape[2]} to train on and {test.shape[3]}x{test.shape[2]} to test on"
            )
    record = {
        "classes": source.classes,
        "resolution": look.resolution,
        "train": asdict(train),
        "test": asdict(test) if test else None,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return train.decoded


def _write_part(
    part: SourcePart, how: tuple[tuple[str, ...], Look], stem: Path, fits: Callable[[Shape], bool]
) -> PartRecord:
    classes, look = how
    with _Writer(part, classes, stem, fits) as writer:
        decode_all(part.entries, look, writer)
        record = writer.record()
    np.save(stem.with_name(f"{stem.name}_labels.npy"), part.labels)
    return record


@final
class _Writer:
    """Takes the decoded pictures of one part in: a sink."""

    def __init__(self, part: SourcePart, classes: tuple[str, ...], stem: Path, fits: Callable[[Shape], bool]) -> None:
        self._part = part
        self._classes = classes
        self._stem = stem
        self._fits = fits
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def begin(self, shape: Shape) -> None:
        """Start anew with images of this shape."""
        count = len(self._part.labels)
        self._shape = (count, *shape)
        self._decoded = self._fits(shape)
        self._digest = hashlib.sha256(json.dumps([self._shape, self._classes]).encode())
        self._digest.update(self._part.labels.astype("<i8").tobytes())
        self._moments = np.empty((count, shape[0], 2), dtype=np.int64)
        self._ends = np.zeros(count + 1, dtype=np.int64)
        self._done = 0
        # Written as a stream: a full disk then raises, where a memory map would end the process.
        self.__exit__()
        self._file = self._path("images.npy" if self._decoded else "entries.bin").open("wb")
        if self._decoded:
            header = {"descr": "|u1", "fortran_order": False, "shape": self._shape}
            np.lib.format.write_array_header_1_0(self._file, header)

    def add(self, entries: Sequence[Entry], images: NDArray[np.uint8]) -> None:
        """Take the next pictures in."""
        assert self._file is not None
        rows = slice(self._done, self._done + len(entries))
        self._digest.update(images.data.cast("B"))
        self._moments[rows] = moments(images)
        if self._decoded:
            self._file.write(images.data.cast("B"))
        else:
            contents = [self._content(entry) for entry in entries]
            self._file.write(b"".join(contents))
            self._ends[rows.start + 1 : rows.stop + 1] = self._ends[rows.start] + np.cumsum([len(c) for c in contents])
        self._done = rows.stop

    def record(self) -> PartRecord:
        """Write what was found out on the way, and say what is there."""
        assert self._done == len(self._part.labels)
        self.__exit__()
        np.save(self._path("moments.npy"), self._moments)
        if not self._decoded:
            np.save(self._path("ends.npy"), self._ends)
        return PartRecord(self._shape, self._digest.hexdigest(), self._decoded, self._part.origin)

    def _content(self, entry: Entry) -> bytes:
        """What is kept of an encoded picture: its path, or where not every one has one, the picture itself."""
        if self._part.origin is None:
            assert isinstance(entry.content, Path)
            return os.fsencode(entry.content)
        return entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()

    def _path(self, name: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}_{name}")
