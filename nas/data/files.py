"""Files of an image folder or of Parquet shards, found without opening them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nas.config.data import CUT, DataSpec
from nas.data.errors import DataError
from nas.data.layout import PART_WORDS, TEST, TRAIN, FolderParts, image_folder_files
from nas.data.picture_files import counted, is_hidden, listed


@dataclass(frozen=True)
class ParquetParts:
    """Parquet files of the training part, and of the test part if there is one; lines on what is left out."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    left_out: tuple[str, ...]


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


def folder_files(spec: DataSpec) -> FolderParts:
    """Find the images at `spec.path` as `image_folder_files` does.

    Raises:
        DataError: as there, or the path doesn't exist.
    """
    return image_folder_files(spec, source_path(spec))


def parquet_files(spec: DataSpec) -> ParquetParts:
    """Find the Parquet files at `spec.path`; a part's file names or subfolders begin with the split's name.

    In any case of letters; `training`, `testing` and `eval` stand for the default names as well. If no name stands for
    any part, all files are the training part.

    Raises:
        DataError: no Parquet file at the path, or none of the training part.
    """
    root = source_path(spec)
    if root.is_file():
        return ParquetParts(train=(root,), test=(), left_out=())
    files, left_out = _visible(root)
    train = tuple(file for file in files if _belongs(file.relative_to(root), spec.train_split))
    test: tuple[Path, ...] = ()
    if spec.test_split != CUT:
        test = tuple(f for f in files if f not in train and _belongs(f.relative_to(root), spec.test_split or TEST))
    if spec.test_split not in {None, CUT} and not test:
        raise DataError(f"data.test_split must name files in {root}, none begins with {spec.test_split!r}")
    if not train and not test and not any(_parts(file.relative_to(root)) for file in files):
        return ParquetParts(tuple(files), (), left_out)
    if not train:
        raise DataError(
            f"data.path must hold the training part, no Parquet file in {root} begins with {spec.train_split!r} "
            f"(set data.train_split)"
        )
    others = [file.name for file in files if file not in {*train, *test}]
    if others:
        told = f"{counted(len(others), 'Parquet file')} neither of the training nor of the test part ({listed(others)})"
        left_out = (*left_out, told)
    return ParquetParts(train, test, left_out)


def _visible(root: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the Parquet files below a folder, and a line on hidden ones."""
    files, hidden, special = [], [], []
    for file in sorted(root.rglob("*.[pP][aA][rR][qQ][uU][eE][tT]")):
        names = file.relative_to(root).parts
        if any(is_hidden(name, folder=True) for name in names):
            hidden.append("/".join(names))
        elif not file.is_file():
            special.append("/".join(names))
        else:
            files.append(file)
    if not files:
        raise DataError(f"data.path must hold Parquet files (*.parquet), found none in {root}")
    lines = [f"{counted(len(hidden), 'hidden Parquet file')} ({listed(hidden)})"] if hidden else []
    lines += [f"entries that are no files ({listed(special)})"] if special else []
    return files, tuple(lines)


def _belongs(file: Path, part: str) -> bool:
    if any(name.lower().startswith(part.lower()) for name in file.parts):
        return True
    return part in {TRAIN, TEST} and part in _parts(file)


def _parts(file: Path) -> set[str]:
    """Return the parts that the words of a file's name and folders stand for."""
    words = re.split(r"[^a-z]+", "/".join(file.parts).lower().removesuffix(".parquet"))
    return {PART_WORDS[word] for word in words if word in PART_WORDS}
