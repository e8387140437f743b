"""Key of a cached source: found without reading an image or asking a network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.config.data import DataSpec
from nas.data.errors import DataError
from nas.data.files import folder_files, parquet_files, source_path
from nas.data.readers import reader_file
from nas.jobs.hashes import content_hash

FORMAT = 3


def cache_key(spec: DataSpec) -> str:
    """Return a hash of everything that decides the decoded pixels; settings of the split alone are left out.

    A folder counts as changed if a file's name, size or modification time differs, a data set on the Hub if its name,
    configuration or revision differs, and a reader from outside if its module or its options differ.

    Raises:
        DataError: there is nothing at `spec.path`.
        PluginError: there is no such source.
    """
    # Line by line: the files of a large set are never all in memory.
    return content_hash(json.dumps(line, sort_keys=True) + "\n" for line in _identity(spec))[:16]


def _identity(spec: DataSpec) -> Iterator[Any]:
    yield {"format": FORMAT, "source": spec.source, "resolution": spec.resolution, "channels": spec.channels}
    if spec.source == "digits":
        yield {"scikit-learn": version("scikit-learn")}
        return
    yield {"train": spec.train_split, "test": spec.test_split}
    if spec.source == "image_folder":
        yield from _image_folder(spec)
        return
    yield {"columns": [spec.image_column, spec.label_column]}
    if spec.hub:
        yield {"hub": [spec.hub, spec.hub_config, spec.hub_revision]}
    elif spec.source == "parquet":
        yield from _parquet(spec)
    else:
        yield from _other(spec)


def _image_folder(spec: DataSpec) -> Iterator[Any]:
    parts = folder_files(spec)
    for part in (parts.train, parts.test or ()):
        yield len(part)
        for of_class in part:
            files = of_class.files()
            yield [of_class.name, len(files)]
            yield from map(_stats, files)


def _parquet(spec: DataSpec) -> Iterator[Any]:
    parts = parquet_files(spec)
    for part in (parts.train, parts.test):
        yield len(part)
        yield from (_stats(str(file)) for file in part)


def _other(spec: DataSpec) -> Iterator[Any]:
    """Yield the identity of a source that this module does not know: the reader's code, its options and its files."""
    file = reader_file(spec.source)
    yield {"module": None if file is None else content_hash([file.read_bytes()])}
    yield {"hub": [spec.hub_name, spec.hub_config, spec.hub_revision], "name": spec.name, "options": spec.options}
    if spec.path is not None:
        yield from _all_files(source_path(spec))


def _all_files(root: Path) -> Iterator[Any]:
    if root.is_file():
        yield _stats(str(root))
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        yield from (_stats(os.path.join(folder, name)) for name in sorted(names))


def _stats(file: str) -> tuple[str, int, int]:
    try:
        stat = os.stat(file)
    except FileNotFoundError:
        raise DataError(f"every image must be a readable file, {file} is gone") from None
    return file, stat.st_size, stat.st_mtime_ns
