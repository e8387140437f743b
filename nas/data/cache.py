"""Cache of decoded sources on disk: built once, opened in milliseconds, never seen half-written."""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.config.data import DataSpec
from nas.data.build import RECORD, write_source
from nas.data.cache_key import cache_key
from nas.data.decode import PixelFormat
from nas.data.errors import DataError
from nas.data.pixel_store import DecodedStore, EncodedStore, Store
from nas.data.readers import open_source
from nas.jobs.cache_folder import CACHE_VARIABLE, cache_folder
from nas.jobs.files import PARTIAL, sync_files, temporary_folder

STALE_SECONDS = 24 * 3600
_TEMPORARY = re.compile(rf".+-(?:{PARTIAL}|{PARTIAL.removesuffix('partial')}damaged\.partial)")
ENCODED = "-encoded"
FREE_FRACTION = 2
"""Decoded images may take one part in so many of the free space on the cache's disk, unless data.cache_gib is set."""


@dataclass(frozen=True)
class CachedPart:
    """Cached part of a source.

    Attributes:
        pixels: the images, read from disk at every use.
        labels: (N,) int64.
        moments: (N, C, 2) int64: for each image and channel the sum of its pixels and of their squares, from which mean
            and deviation of any subset follow exactly.
        fingerprint: SHA-256 of pixels, labels and class names.
        hashes: (N,) of `image_hashes`; None in folders of tensors that were written without them.
        values: lowest and highest value of a pixel, None likewise.
    """

    pixels: Store
    labels: NDArray[np.int64]
    moments: NDArray[np.int64]
    fingerprint: str
    hashes: NDArray[np.uint64] | None = None
    values: tuple[int, int] | None = None


@dataclass(frozen=True)
class CachedSource:
    """Cached source.

    Attributes:
        folder: folder of the copy.
        decoded: whether decoded images are kept, rather than encoded ones or their paths.
        classes: names of the classes.
        train: the training part.
        test: the test part, None if the source has none.
        validation: the validation part; None if it is cut from the training part.
        notes: lines on what the source holds and is not read.
        scales: as in `Source`.
    """

    folder: Path
    decoded: bool
    classes: tuple[str, ...]
    train: CachedPart
    test: CachedPart | None
    validation: CachedPart | None = None
    notes: tuple[str, ...] = ()
    scales: tuple[tuple[float, float], ...] = ()

    @property
    def self_contained(self) -> bool:
        """True if the folder holds the images themselves rather than paths of files elsewhere."""
        return not (isinstance(self.train.pixels, EncodedStore) and self.train.pixels.origin is None)


def cache_root(spec: DataSpec) -> Path:
    """Return the folder of all cached sources: `spec.cache`, else $NAS_CACHE_DIR, else the user's own.

    Raises:
        DataError: there is no folder that can be written to.
    """
    try:
        return cache_folder(spec.cache)
    except ValueError as error:
        raise DataError(str(error)) from error


def cached_source(spec: DataSpec) -> CachedSource:
    """Open the cached copy of a source, and build it first if there is no complete one.

    Decoded images are kept if they take no more than `spec.cache_gib`, or half of the free disk space; else the encoded
    ones, or the paths of image files. An existing copy of either kind is opened; a `cache_gib` that the decoded images
    fit in asks for those.

    Several processes may call this at the same time: each builds in a folder of its own, and one puts its copy in place
    in one step.

    Raises:
        DataError: the source can't be read, or the cache can't be written.
        PluginError: there is no such source, or it takes no such option.
    """
    if spec.source == "tensors":
        return _open_tensors(spec)
    folder = cache_root(spec) / f"{spec.slug}-{cache_key(spec)}"
    return open_folder(folder) or _open_encoded(spec, folder) or _build(spec, folder)


def _open_tensors(spec: DataSpec) -> CachedSource:
    assert spec.path is not None
    folder = Path(spec.path).expanduser()
    found = open_folder(folder)
    if found is None:
        raise DataError(f"data.path must be a complete, readable folder of tensors from Python, got {folder}")
    return found


def _open_encoded(spec: DataSpec, folder: Path) -> CachedSource | None:
    found = open_folder(_encoded_folder(folder))
    if found is None or spec.cache_gib is None:
        return found
    size = sum(math.prod(part.pixels.shape) for part in (found.train, found.test) if part is not None)
    return None if size <= spec.cache_gib * 2**30 else found


def _encoded_folder(folder: Path) -> Path:
    return folder.with_name(folder.name + ENCODED)


def open_folder(folder: Path) -> CachedSource | None:
    """Open the copy in `folder`; return None if there is none, or if it differs from its record."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        train = _open_part(folder, "train", record)
        optional = {
            part: _open_part(folder, part, record) for part in ("test", "validation") if record.get(part) is not None
        }
        classes = tuple(record["classes"])
        return CachedSource(
            folder=folder,
            decoded=_is_decoded(record),
            classes=classes,
            train=train,
            test=optional.get("test"),
            validation=optional.get("validation"),
            notes=tuple(map(str, record.get("notes", ()))),
            scales=tuple((float(low), float(high)) for low, high in record.get("scales", ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_decoded(record: dict[str, Any]) -> bool:
    return bool(record["train"].get("decoded", True))


def _open_part(folder: Path, part: str, record: dict[str, Any]) -> CachedPart:
    shape = tuple(record[part]["shape"])
    labels = np.load(folder / f"{part}_labels.npy", allow_pickle=False)
    moments = np.load(folder / f"{part}_moments.npy", allow_pickle=False)
    pixels = _open_pixels(folder, part, record, moments)
    if (pixels.shape, labels.shape, moments.shape) != (shape, shape[:1], (*shape[:2], 2)):
        raise ValueError(f"a cached array must have the recorded shape {shape}, got {pixels.shape}")
    file, values = folder / f"{part}_hashes.npy", record[part].get("values")
    hashes = np.load(file, allow_pickle=False) if file.exists() else None
    if hashes is not None and hashes.shape != shape[:1]:
        raise ValueError(f"a cached array must have the recorded shape {shape[:1]}, got {hashes.shape}")
    range_of = None if values is None else (int(values[0]), int(values[1]))
    return CachedPart(pixels, labels, moments, record[part]["fingerprint"], hashes, range_of)


def _open_pixels(folder: Path, part: str, record: dict[str, Any], moments: NDArray[np.int64]) -> Store:
    if _is_decoded(record):
        return DecodedStore.open(folder / f"{part}_images.npy")
    entries = folder / f"{part}_entries.bin"
    ends = np.load(folder / f"{part}_ends.npy", allow_pickle=False)
    shape, origin = tuple(record[part]["shape"]), record[part]["origin"]
    if ends.shape != (shape[0] + 1,) or ends[-1] != entries.stat().st_size:
        raise ValueError(f"{entries} must have the recorded size")
    return EncodedStore(entries, ends, origin, shape, record["resolution"], moments[..., 0])


def _build(spec: DataSpec, folder: Path) -> CachedSource:
    with open_source(spec) as source, build_folder(folder) as partial:
        decoded = write_source(source, PixelFormat(spec.resolution, spec.channels), partial, _limit(spec, partial))
        target = folder if decoded else _encoded_folder(folder)
        publish(partial, target)
    result = open_folder(target)
    if result is None:
        raise DataError(
            f"the image cache must be readable once written, {target} is not; set data.cache=FOLDER to move it"
        )
    return result


def _limit(spec: DataSpec, folder: Path) -> int:
    """Return the bytes that the decoded images may take."""
    if spec.cache_gib is not None:
        return int(spec.cache_gib * 2**30)
    return shutil.disk_usage(folder).free // FREE_FRACTION


@contextmanager
def build_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder` to build its content in; it is removed unless `publish` renames it.

    Raises:
        DataError: a file can't be written there.
    """
    root = folder.parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_stale(root)
        with temporary_folder(root, f"{folder.name}-") as partial:
            yield partial
    except OSError as error:
        raise DataError(
            f"the image cache must be writable, {root} is not ({error.strerror or error}): "
            f"set data.cache=FOLDER or the environment variable {CACHE_VARIABLE} to move it"
        ) from error


def _remove_stale(root: Path) -> None:
    """Remove temporary folders of processes that were killed a day or longer ago."""
    for old in root.glob("*.partial"):
        with suppress(FileNotFoundError):  # another process removes them too
            if _TEMPORARY.fullmatch(old.name) and time.time() - old.lstat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


def publish(partial: Path, folder: Path) -> None:
    """Rename `partial` to `folder` in one step, unless another process has put a complete copy there meanwhile."""
    sync_files(partial)
    try:
        partial.rename(folder)
    except OSError:
        if open_folder(folder) is not None:
            return
        # The copy in place is damaged. It is renamed first: a folder can't replace one that holds files.
        folder.rename(partial.with_suffix(".damaged.partial"))
        partial.rename(folder)
