"""Decoded images on disk: built once, opened in milliseconds, never seen half-written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from nas.data.decode import Look, decode_all
from nas.data.errors import DataError
from nas.data.identity import cache_key
from nas.data.readers import Source, SourcePart, open_source
from nas.data.spec import DataSpec

CACHE_VARIABLE = "NAS_CACHE_DIR"
RECORD = "meta.json"
STALE_SECONDS = 24 * 3600
HASHED_AT_ONCE = 1024


@dataclass(frozen=True)
class Stored:
    """One part of a source, decoded; the arrays are read from disk as they are used.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        moments: (N, C, 2) int64: for each image and channel the sum of its pixels and of their squares, so that mean
            and deviation of any subset are exact and cost nothing.
        fingerprint: SHA-256 of pixels, labels and class names.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    moments: NDArray[np.int64]
    fingerprint: str


@dataclass(frozen=True)
class Decoded:
    """A source, decoded.

    Attributes:
        classes: names of the classes.
        train: the training part.
        test: the test part, where the source has one.
        validation: the validation part, where the source has one; else it comes out of the training part.
    """

    classes: tuple[str, ...]
    train: Stored
    test: Stored | None
    validation: Stored | None = None


@dataclass(frozen=True)
class _PartMeta:
    shape: tuple[int, int, int, int]
    fingerprint: str


def cache_root(spec: DataSpec) -> Path:
    """The folder that holds decoded images: `spec.cache`, else $NAS_CACHE_DIR, else the user's cache folder."""
    named = spec.cache or os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("inception-nas")


def stored_folder(spec: DataSpec) -> Path:
    """Where the decoded images of `spec` lie, once they are decoded."""
    if spec.source == "tensors":
        assert spec.path is not None
        return Path(spec.path).expanduser()
    return cache_root(spec) / f"{spec.slug}-{cache_key(spec)}"


def decoded(spec: DataSpec) -> Decoded:
    """The decoded source of `spec`, built where the cache has no whole copy.

    Processes may ask at the same time: each builds aside and one of them puts its copy in place, in one step.

    Raises:
        DataError: the source can't be read, or the cache can't be written.
    """
    if spec.source == "tensors":
        return _handed_in(spec)
    folder = stored_folder(spec)
    return open_folder(folder) or _build(spec, folder)


def _handed_in(spec: DataSpec) -> Decoded:
    assert spec.path is not None
    folder = Path(spec.path).expanduser()
    found = open_folder(folder)
    if found is None:
        raise DataError(f"data.path must be a folder of images handed in from Python, whole and readable, got {folder}")
    return found


def open_folder(folder: Path) -> Decoded | None:
    """The copy in `folder`; None where there is none, or one that is cut short or otherwise not as its record says."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        train = _open_part(folder, "train", record)
        optional = {
            part: _open_part(folder, part, record) for part in ("test", "validation") if record.get(part) is not None
        }
        return Decoded(tuple(record["classes"]), train, optional.get("test"), optional.get("validation"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _open_part(folder: Path, part: str, record: dict[str, Any]) -> Stored:
    shape = tuple(record[part]["shape"])
    images = np.load(folder / f"{part}_images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / f"{part}_labels.npy", allow_pickle=False)
    moments = np.load(folder / f"{part}_moments.npy", allow_pickle=False)
    if (images.shape, labels.shape, moments.shape) != (shape, shape[:1], (*shape[:2], 2)):
        raise ValueError(f"a cached array must have the recorded shape {shape}, got {images.shape}")
    return Stored(images, labels, moments, record[part]["fingerprint"])


def _build(spec: DataSpec, folder: Path) -> Decoded:
    with open_source(spec) as source, aside(folder) as partial:
        _write(source, Look(spec.resolution, spec.channels), partial)
        put_in_place(partial, folder)
    result = open_folder(folder)
    if result is None:
        raise DataError(
            f"the image cache must be readable once written, {folder} is not; set data.cache=FOLDER to move it"
        )
    return result


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` to build in, removed at the end."""
    root = folder.parent
    partial = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", suffix=".partial", dir=root))
        yield partial
    except OSError as error:
        raise DataError(
            f"the image cache must be writable, {root} is not ({error.strerror or error}): "
            f"set data.cache=FOLDER or the environment variable {CACHE_VARIABLE} to move it"
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove what killed processes left half-built a day or longer ago."""
    for old in root.glob("*.partial"):
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


def _write(source: Source, look: Look, folder: Path) -> None:
    train = _write_part(source.train, source.classes, look, folder / "train")
    test = None
    if source.test is not None and len(source.test.labels):
        test = _write_part(source.test, source.classes, Look(look.resolution, train.shape[1]), folder / "test")
        if test.shape[1:] != train.shape[1:]:
            raise DataError(
                f"images must be of one size unless data.resolution is set, "
                f"got {train.shape[3]}x{train.shape[2]} to train on and {test.shape[3]}x{test.shape[2]} to test on"
            )
    record = {"classes": source.classes, "train": asdict(train), "test": asdict(test) if test else None}
    (folder / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _write_part(part: SourcePart, classes: tuple[str, ...], look: Look, stem: Path) -> _PartMeta:
    count = len(part.labels)
    images_file = stem.with_name(f"{stem.name}_images.npy")
    size = decode_all(part.entries, count, look, images_file)
    images = np.load(images_file, mmap_mode="r", allow_pickle=False)
    digest = hashlib.sha256(json.dumps([images.shape, classes]).encode())
    digest.update(part.labels.astype("<i8").tobytes())
    moments = np.empty((count, size[0], 2), dtype=np.int64)
    for start in range(0, count, HASHED_AT_ONCE):
        pixels = images[start : start + HASHED_AT_ONCE]
        digest.update(pixels.tobytes())
        wide = pixels.astype(np.int64)
        moments[start : start + HASHED_AT_ONCE] = np.stack([wide.sum((2, 3)), (wide * wide).sum((2, 3))], axis=-1)
    np.save(stem.with_name(f"{stem.name}_labels.npy"), part.labels)
    np.save(stem.with_name(f"{stem.name}_moments.npy"), moments)
    return _PartMeta((count, *size), digest.hexdigest())


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
