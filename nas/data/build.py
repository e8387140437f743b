"""Building of a source's cache, in one pass over its pictures and in bounded memory."""

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

from nas.data.decode import Entry, PixelFormat, decode_all
from nas.data.errors import DataError
from nas.data.readers import Source, SourcePart
from nas.data.statistics import Shape, image_hashes, moments

RECORD = "meta.json"

Fits = Callable[[Shape], bool]
"""Whether the decoded images of all parts, each of (C, H, W), may be kept."""


@dataclass(frozen=True)
class PartRecord:
    """Record of one cached part.

    Attributes:
        shape: (N, C, H, W).
        fingerprint: SHA-256 of pixels, labels and class names, the same for decoded and encoded images.
        decoded: whether decoded images are kept, rather than encoded ones or their paths.
        origin: as in `SourcePart`, of images that are kept encoded.
        values: lowest and highest value of a pixel.
    """

    shape: tuple[int, int, int, int]
    fingerprint: str
    decoded: bool
    origin: str | None
    values: tuple[int, int]


def write_source(source: Source, target: PixelFormat, folder: Path, limit: int) -> bool:
    """Write labels, moments and pixels of every part into `folder`, and a record of them.

    Args:
        source: the source to write.
        target: size and channels to convert its pictures to.
        folder: an empty folder.
        limit: bytes that the decoded images of all parts may take; above it, the paths of image files are kept, and
            other pictures encoded as they are.

    Returns:
        Whether the images are kept decoded.

    Raises:
        DataError: a picture can't be decoded, pictures differ in size, or the source is not as `Source` describes.
    """
    check_class_names(source.classes)
    images = len(source.train.labels) + (0 if source.test is None else len(source.test.labels))

    def fits(shape: Shape) -> bool:
        return images * math.prod(shape) <= limit

    train = _write_part(PartWriter(source.train, source.classes, folder / "train", fits), target)
    test = None
    if source.test is not None and len(source.test.labels):
        writer = PartWriter(source.test, source.classes, folder / "test", lambda _: train.decoded)
        test = _write_part(writer, PixelFormat(target.resolution, train.shape[1]))
        if test.shape[1:] != train.shape[1:]:
            raise DataError(
                f"images must be of one size unless data.resolution is set, "
                f"got {train.shape[3]}x{train.shape[2]} to train on and {test.shape[3]}x{test.shape[2]} to test on"
            )
    record = {
        "classes": source.classes,
        "resolution": target.resolution,
        "train": asdict(train),
        "test": asdict(test) if test else None,
        "notes": source.notes,
        "scales": source.scales,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return train.decoded


def _write_part(writer: PartWriter, target: PixelFormat) -> PartRecord:
    with writer:
        decode_all(writer.part.entries, target, writer)
        return writer.record()


@final
class PartWriter:
    """Sink that writes the decoded pictures of one part."""

    def __init__(self, part: SourcePart, classes: tuple[str, ...], stem: Path, fits: Fits) -> None:
        """Check the labels; nothing is written before `begin`.

        Args:
            part: labels and encoded pictures.
            classes: names of the classes.
            stem: path that the names of all files begin with.
            fits: whether decoded images of a shape may be kept.

        Raises:
            DataError: the part has no image, or labels that are not int64 or not of a class.
        """
        _check_labels(part.labels, classes)
        self.part = part
        self._classes = classes
        self._stem = stem
        self._fits = fits
        self._file: BinaryIO | None = None

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def begin(self, shape: Shape) -> None:
        """Start, or restart, with images of (C, H, W)."""
        count = len(self.part.labels)
        self._shape = (count, *shape)
        self._decoded = self._fits(shape)
        self._digest = hashlib.sha256(json.dumps([self._shape, self._classes]).encode())
        self._digest.update(self.part.labels.astype("<i8").tobytes())
        self._moments = np.empty((count, shape[0], 2), dtype=np.int64)
        self._hashes = np.empty(count, dtype=np.uint64)
        self._values = (255, 0)
        self._ends = np.zeros(count + 1, dtype=np.int64)
        self._done = 0
        # Written as a stream: a full disk raises an error, whereas writing to a memory map ends the process.
        self.__exit__()
        self._file = self._path("images.npy" if self._decoded else "entries.bin").open("wb")
        if self._decoded:
            header = {"descr": "|u1", "fortran_order": False, "shape": self._shape}
            np.lib.format.write_array_header_1_0(self._file, header)

    def add(self, entries: Sequence[Entry], images: NDArray[np.uint8]) -> None:
        """Write the next pictures.

        Raises:
            DataError: there are more pictures than labels.
        """
        assert self._file is not None
        rows = slice(self._done, self._done + len(entries))
        if rows.stop > len(self.part.labels):
            raise DataError(f"every image needs a label, got {rows.stop} or more and {len(self.part.labels)}")
        self._digest.update(images.data.cast("B"))
        self._moments[rows] = moments(images)
        self._hashes[rows] = image_hashes(images)
        self._values = widened(self._values, images)
        if self._decoded:
            self._file.write(images.data.cast("B"))
        else:
            contents = [self._content(entry) for entry in entries]
            self._file.write(b"".join(contents))
            self._ends[rows.start + 1 : rows.stop + 1] = self._ends[rows.start] + np.cumsum([len(c) for c in contents])
        self._done = rows.stop

    def record(self) -> PartRecord:
        """Write labels, moments and offsets, and return the part's record.

        Raises:
            DataError: there are fewer pictures than labels.
        """
        if self._done < len(self.part.labels):
            raise DataError(f"every label needs an image, got {len(self.part.labels)} and {self._done}")
        self.__exit__()
        np.save(self._path("labels.npy"), self.part.labels)
        np.save(self._path("moments.npy"), self._moments)
        np.save(self._path("hashes.npy"), self._hashes)
        if not self._decoded:
            np.save(self._path("ends.npy"), self._ends)
        return PartRecord(self._shape, self._digest.hexdigest(), self._decoded, self.part.origin, self._values)

    def _content(self, entry: Entry) -> bytes:
        """Return the bytes that are kept of an encoded picture: its path, or the picture itself if any has no path."""
        if entry.pixels is not None:
            raise DataError(
                f"signals are kept decoded, which takes more than half of the free disk space, or than data.cache_gib, "
                f"at {entry.where}: set data.cache=FOLDER on a larger disk"
            )
        if self.part.origin is not None:
            return entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()
        if isinstance(entry.content, bytes):
            raise DataError(f"a source of pictures without files must have an origin, {entry.where} has no file")
        return os.fsencode(entry.content)

    def _path(self, name: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}_{name}")


def widened(values: tuple[int, int], images: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the lowest and the highest of the values and the pixels."""
    return min(values[0], int(images.min())), max(values[1], int(images.max()))


def check_class_names(classes: Sequence[str]) -> None:
    """Check that every class can be written down: no export and no report takes a name that is no text.

    Raises:
        DataError: the name of a class is empty or not of UTF-8, or two classes have one name.
    """
    for name in classes:
        if not name.strip() or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise DataError(f"names of classes must be text in UTF-8, got {name!r}: rename that class")
    twice = next((name for row, name in enumerate(classes) if name in classes[:row]), None)
    if twice is not None:
        raise DataError(f"names of classes must differ, two are {twice!r}: rename one")


def _check_labels(labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    if labels.dtype != np.int64 or labels.ndim != 1 or not len(labels):
        raise DataError(f"labels must be int64 (N,), one an image, got {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(f"labels must lie in [0, {len(classes)}), got {labels.min()} to {labels.max()}")
