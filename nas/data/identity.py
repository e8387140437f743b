"""What the cached images of a spec are keyed by: found without reading an image or asking a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.data.files import image_folder_files, parquet_files
from nas.data.spec import DataSpec

FORMAT = 1


def cache_key(spec: DataSpec) -> str:
    """A hash of everything that decides the decoded pixels; what only decides the splits is left out.

    A folder counts as changed when a file's name, size or time of change differs. A Hub data set counts as changed
    when its name, configuration or revision differs.

    Raises:
        DataError: there is nothing at `spec.path`.
    """
    text = json.dumps(_identity(spec), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _identity(spec: DataSpec) -> dict[str, Any]:
    look = {"format": FORMAT, "source": spec.source, "resolution": spec.resolution, "channels": spec.channels}
    if spec.source == "digits":
        return look | {"scikit-learn": version("scikit-learn")}
    look |= {"train": spec.train_split, "test": spec.test_split}
    if spec.source == "image_folder":
        return look | {"files": _image_folder(spec)}
    look |= {"columns": [spec.image_column, spec.label_column]}
    if spec.hub:
        return look | {"hub": [spec.hub, spec.hub_config, spec.hub_revision]}
    parts = parquet_files(spec)
    return look | {"files": [_stats(parts.train), _stats(parts.test)]}


def _image_folder(spec: DataSpec) -> list[Any]:
    parts = image_folder_files(spec)
    return [[[c.name, _stats(c.files)] for c in part] for part in (parts.train, parts.test or ())]


def _stats(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    return [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
