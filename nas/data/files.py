"""Files of an image folder or of Parquet shards, found without opening them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nas.config.data import DataSpec
from nas.data.errors import DataError

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)


@dataclass(frozen=True)
class ClassFiles:
    """Image files of one class in one part; listed at every request, as a set may have millions."""

    name: str
    folder: Path

    def files(self) -> list[str]:
        """Return the images below the folder, without hidden ones, in an order that is the same on every machine."""
        return sorted(self._found(), key=lambda file: file.split(os.sep))

    def has_images(self) -> bool:
        """Return whether there is an image."""
        return next(self._found(), None) is not None

    def _found(self) -> Iterator[str]:
        for parent, _, names in os.walk(self.folder):
            yield from (os.path.join(parent, name) for name in names if _is_image(name))


@dataclass(frozen=True)
class FolderParts:
    """Image files of a folder by class, and those of its test part if it has one."""

    train: tuple[ClassFiles, ...]
    test: tuple[ClassFiles, ...] | None


@dataclass(frozen=True)
class ParquetParts:
    """Parquet files of the training part, and of the test part if there is one."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]


def source_path(spec: DataSpec) -> Path:
    """Return `spec.path` as an absolute path.

    Raises:
        DataError: the path doesn't exist.
    """
    assert spec.path is not None
    path = Path(spec.path).expanduser().resolve()
    if not path.exists():
        raise DataError(f"data.path must exist, got {spec.path} (looked at {path})")
    return path


def parquet_files(spec: DataSpec) -> ParquetParts:
    """Find the Parquet files at `spec.path`; a part's file names or subfolders begin with the split's name.

    If no name begins with the name of either split, all files are the training part.

    Raises:
        DataError: no Parquet file at the path, or none of the training part.
    """
    root = source_path(spec)
    if root.is_file():
        return ParquetParts(train=(root,), test=())
    files = sorted(root.rglob("*.parquet"))
    if not files:
        raise DataError(f"data.path must hold Parquet files (*.parquet), found none in {root}")
    test_name = spec.test_split or "test"
    train = tuple(file for file in files if _belongs(file.relative_to(root), spec.train_split))
    test = tuple(file for file in files if _belongs(file.relative_to(root), test_name))
    if spec.test_split and not test:
        raise DataError(f"data.test_split must name files in {root}, none begins with {spec.test_split!r}")
    if not train and not test:
        return ParquetParts(train=tuple(files), test=())
    if not train:
        raise DataError(
            f"data.path must hold the training part, no Parquet file in {root} begins with {spec.train_split!r} "
            f"(set data.train_split)"
        )
    _warn_ignored(file.name for file in files if file not in {*train, *test})
    return ParquetParts(train, test)


def _belongs(file: Path, part: str) -> bool:
    return any(name.startswith(part) for name in file.parts)


def image_folder_files(spec: DataSpec) -> FolderParts:
    """Find the images at `spec.path`: one subfolder a class, or such subfolders in `train/` and, if it exists, `test/`.

    Raises:
        DataError: no class folder, no image, or a test class without training images.
    """
    root = source_path(spec)
    if not root.is_dir():
        raise DataError(f"data.path must be a folder with one subfolder a class, got the file {root}")
    train_root = root / spec.train_split
    # A class may be called `train`; then it holds images, not folders of images.
    if not _subfolders(train_root):
        return FolderParts(_classes(root), None)
    train = _classes(train_root)
    test_root = root / (spec.test_split or "test")
    _warn_ignored(folder.name for folder in _subfolders(root) if folder not in {train_root, test_root})
    if not test_root.is_dir():
        if spec.test_split:
            raise DataError(f"data.test_split must name a folder in {root}, there is no {spec.test_split!r}")
        return FolderParts(train, None)
    test = _classes(test_root)
    unknown = sorted({c.name for c in test} - {c.name for c in train})
    if unknown:
        raise DataError(f"every class of the test part must be trained on, {train_root} lacks {', '.join(unknown)}")
    return FolderParts(train, test)


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _classes(root: Path) -> tuple[ClassFiles, ...]:
    found = tuple(ClassFiles(folder.name, folder) for folder in _subfolders(root))
    if not found:
        raise DataError(f"an image folder must hold one subfolder a class, found none in {root}")
    if not any(c.has_images() for c in found):
        raise DataError(f"an image folder must hold images ({' '.join(sorted(IMAGE_SUFFIXES))}), found none in {root}")
    return found


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _warn_ignored(names: Iterator[str]) -> None:
    ignored = sorted(names)
    if ignored:
        log.warning("not read, as they belong neither to the training nor to the test part: %s", ", ".join(ignored))
