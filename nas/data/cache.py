"""What is kept of a source on disk: built once, opened in milliseconds, never seen half-written."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from nas.config.data import DataSpec
from nas.data.build import RECORD, write_source
from nas.data.cache_key import cache_key
from nas.data.decode import Look
from nas.data.errors import DataError
from nas.data.pixel_store import DecodedStore, EncodedStore, Store
from nas.data.readers import open_source
from nas.jobs.files import temporary_folder

CACHE_VARIABLE = "NAS_CACHE_DIR"
STALE_SECONDS = 24 * 3600
ENCODED = "-encoded"
FREE_SHARE = 2
"""Decoded images may take one part in so many of what is free on the cache's disk, unless data.cache_gib is set."""


@dataclass(frozen=True)
class Stored:
    """One part of a source.

    Attributes:
        pixels: the images, read from disk as they are used.
        labels: (N,) int64.
        moments: (N, C, 2) int64: for each image and channel the sum of its pixels and of their squares, so that mean
            and deviation of any subset are exact and cost nothing.
        fingerprint: SHA-256 of pixels, labels and class names.
    """

    pixels: Store
    labels: NDArray[np.int64]
    moments: NDArray[np.int64]
    fingerprint: str


@dataclass(frozen=True)
class Kept:
    """What is kept of a source.

    Attributes:
        folder: where.
        decoded: whether the decoded images are kept, and not the encoded ones or their paths.
        classes: names of the classes.
        train: the training part.
        test: the test part, where the source has one.
        validation: the validation part, where the source has one; else it comes out of the training part.
    """

    folder: Path
    decoded: bool
    classes: tuple[str, ...]
    train: Stored
    test: Stored | None
    validation: Stored | None = None

    @property
    def complete(self) -> bool:
        """Whether the folder holds the images themselves, and not a list of files elsewhere."""
        return not (isinstance(self.train.pixels, EncodedStore) and self.train.pixels.origin is None)


def cache_root(spec: DataSpec) -> Path:
    """The folder that holds what is kept: `spec.cache`, else $NAS_CACHE_DIR, else the user's cache folder."""
    named = spec.cache or os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("inception-nas")


def kept(spec: DataSpec) -> Kept:
    """What is kept of the source of `spec`, built where the cache has no whole copy.

    The decoded images are kept where they take no more than `spec.cache_gib`, or half of what is free on the disk; else
    the encoded ones, or the paths of image files. Either copy is taken where it is there already; a `cache_gib` that
    the decoded images fit in asks for those.

    Processes may ask at the same time: each builds aside and one of them puts its copy in place, in one step.

    Raises:
        DataError: the source can't be read, or the cache can't be written.
    """
    if spec.source == "tensors":
        return _handed_in(spec)
    folder = cache_root(spec) / f"{spec.slug}-{cache_key(spec)}"
    return open_folder(folder) or _encoded(spec, folder) or _build(spec, folder)


def _handed_in(spec: DataSpec) -> Kept:
    assert spec.path is not None
    folder = Path(spec.path).expanduser()
    found = open_folder(folder)
    if found is None:
        raise DataError(f"data.path must be a folder of images handed in from Python, whole and readable, got {folder}")
    return found


def _encoded(spec: DataSpec, folder: Path) -> Kept | None:
    found = open_folder(_beside(folder))
    if found is None or spec.cache_gib is None:
        return found
    size = sum(math.prod(part.pixels.shape) for part in (found.train, found.test) if part is not None)
    return None if size <= spec.cache_gib * 2**30 else found


def _beside(folder: Path) -> Path:
    return folder.with_name(folder.name + ENCODED)


def open_folder(folder: Path) -> Kept | None:
    """The copy in `folder`; None where there is none, or one that is cut short or otherwise not as its record says."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        train = _open_part(folder, "train", record)
        optional = {
            part: _open_part(folder, part, record) for part in ("test", "validation") if record.get(part) is not None
        }
        classes = tuple(record["classes"])
        return Kept(folder, _is_decoded(record), classes, train, optional.get("test"), optional.get("validation"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_decoded(record: dict[str, Any]) -> bool:
    return bool(record["train"].get("decoded", True))


def _open_part(folder: Path, part: str, record: dict[str, Any]) -> Stored:
    shape = tuple(record[part]["shape"])
    labels = np.load(folder / f"{part}_labels.npy", allow_pickle=False)
    moments = np.load(folder / f"{part}_moments.npy", allow_pickle=False)
    pixels = _open_pixels(folder, part, record, moments)
    if (pixels.shape, labels.shape, moments.shape) != (shape, shape[:1], (*shape[:2], 2)):
        raise ValueError(f"a cached array must have the recorded shape {shape}, got {pixels.shape}")
    return Stored(pixels, labels, moments, record[part]["fingerprint"])


def _open_pixels(folder: Path, part: str, record: dict[str, Any], moments: NDArray[np.int64]) -> Store:
    if _is_decoded(record):
        return DecodedStore.open(folder / f"{part}_images.npy")
    entries = folder / f"{part}_entries.bin"
    ends = np.load(folder / f"{part}_ends.npy", allow_pickle=False)
    shape, origin = tuple(record[part]["shape"]), record[part]["origin"]
    if ends.shape != (shape[0] + 1,) or ends[-1] != entries.stat().st_size:
        raise ValueError(f"{entries} must hold what is recorded of it")
    return EncodedStore(entries, ends, origin, shape, record["resolution"], moments[..., 0])


def _build(spec: DataSpec, folder: Path) -> Kept:
    with open_source(spec) as source, aside(folder) as partial:
        decoded = write_source(source, Look(spec.resolution, spec.channels), partial, _room(spec, partial))
        target = folder if decoded else _beside(folder)
        put_in_place(partial, target)
    result = open_folder(target)
    if result is None:
        raise DataError(
            f"the image cache must be readable once written, {target} is not; set data.cache=FOLDER to move it"
        )
    return result


def _room(spec: DataSpec, folder: Path) -> int:
    """Bytes that the decoded images may take."""
    if spec.cache_gib is not None:
        return int(spec.cache_gib * 2**30)
    return shutil.disk_usage(folder).free // FREE_SHARE


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` to build in, removed at the end."""
    root = folder.parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        with temporary_folder(root, f"{folder.name}-") as partial:
            yield partial
    except OSError as error:
        raise DataError(
            f"the image cache must be writable, {root} is not ({error.strerror or error}): "
            f"set data.cache=FOLDER or the environment variable {CACHE_VARIABLE} to move it"
        ) from error


def _sweep(root: Path) -> None:
    """Remove what killed processes left half-built a day or longer ago."""
    for old in root.glob("*.partial"):
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


def put_in_place(partial: Path, folder: Path) -> None:
    """Rename `partial` to `folder` in one step; a whole copy that another process put there meanwhile is kept."""
    try:
        partial.rename(folder)
    except OSError:
        if open_folder(folder) is not None:
            return
        # What stands there is damaged. Moved away first: a folder can't be renamed onto one that holds files.
        folder.rename(partial.with_suffix(".damaged.partial"))
        partial.rename(folder)
