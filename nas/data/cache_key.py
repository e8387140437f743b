"""What the cached images of a spec are keyed by: found without reading an image or asking a network."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from nas.config.data import DataSpec
from nas.data.errors import DataError
from nas.data.files import image_folder_files, parquet_files

FORMAT = 2


def cache_key(spec: DataSpec) -> str:
    """A hash of everything that decides the decoded pixels; what only decides the splits is left out.

    A folder counts as changed when a file's name, size or time of change differs. A Hub data set counts as changed
    when its name, configuration or revision differs.

    Raises:
        DataError: there is nothing at `spec.path`.
    """
    digest = hashlib.sha256()
    # Line by line: the files of a large set are never listed all at once.
    for line in _identity(spec):
        digest.update(json.dumps(line, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()[:16]


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
        return
    parts = parquet_files(spec)
    for part in (parts.train, parts.test):
        yield len(part)
        yield from (_stats(str(file)) for file in part)


def _image_folder(spec: DataSpec) -> Iterator[Any]:
    parts = image_folder_files(spec)
    for part in (parts.train, parts.test or ()):
        yield len(part)
        for among in part:
            files = among.files()
            yield [among.name, len(files)]
            yield from map(_stats, files)


def _stats(file: str) -> tuple[str, int, int]:
    try:
        stat = os.stat(file)
    except FileNotFoundError:
        raise DataError(f"every image must be a readable file, {file} is gone") from None
    return file, stat.st_size, stat.st_mtime_ns
