"""A person's own images on disk, so that every process of a search, and any later one, reads the very same."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from nas.data.cache import Decoded, aside, open_folder, put_in_place
from nas.data.errors import DataError
from nas.data.images import ImageData, ImageSet

AT_ONCE = 1024


def hand_in(data: ImageData, folder: Path, test: ImageSet | None = None) -> None:
    """Write images into `folder`, where source `tensors` reads them with `data.path`.

    The folder looks like the cache of any other source: uint8 arrays that are mapped into memory, and never pickles.
    Doing so again with the same images does nothing; with another test part, that one takes the old one's place.

    Args:
        data: what to train and validate on, as `from_tensors` and `from_datamodule` give it.
        folder: its own folder, which need not be there yet.
        test: what to test retrained networks on; None where there is nothing. A search never reads it.

    Raises:
        DataError: the folder holds other images, or can't be written; or the test images are of another shape.
    """
    if test is not None and test.images.shape[1:] != data.train.images.shape[1:]:
        raise DataError(
            f"test images must have the shape {tuple(data.train.images.shape[1:])} of the others, "
            f"got {tuple(test.images.shape[1:])}"
        )
    parts = {"train": data.train, "validation": data.validation} | ({"test": test} if test else {})
    prints = {name: _fingerprint(data.classes, part) for name, part in parts.items()}
    # Training and validation are one fingerprint: a study goes on with the same split alone.
    prints["train"] = hashlib.sha256(f"{prints['train']}/{prints['validation']}".encode()).hexdigest()
    existing = open_folder(folder)
    if existing is not None:
        if existing.train.fingerprint != prints["train"]:
            raise DataError(f"{folder} holds other images than those handed in: give the study another name")
        if test is None or _test_fingerprint(existing) == prints["test"]:
            return
    with aside(folder) as partial:
        for name, part in parts.items():
            _write_part(part, partial / name)
        shapes = {name: {"shape": list(part.images.shape), "fingerprint": prints[name]} for name, part in parts.items()}
        record = {"classes": list(data.classes), "test": None, **shapes}
        (partial / "meta.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        if existing is not None:
            shutil.rmtree(folder)
        put_in_place(partial, folder)


def _test_fingerprint(existing: Decoded) -> str | None:
    return None if existing.test is None else existing.test.fingerprint


def _fingerprint(classes: tuple[str, ...], part: ImageSet) -> str:
    digest = hashlib.sha256(json.dumps([list(part.images.shape), classes]).encode())
    digest.update(part.labels.numpy().astype("<i8").tobytes())
    digest.update(part.images.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write_part(part: ImageSet, stem: Path) -> None:
    images = part.images.contiguous().numpy()
    moments = np.empty((*images.shape[:2], 2), dtype=np.int64)
    for start in range(0, len(images), AT_ONCE):
        wide = images[start : start + AT_ONCE].astype(np.int64)
        moments[start : start + AT_ONCE] = np.stack([wide.sum((2, 3)), (wide * wide).sum((2, 3))], axis=-1)
    for name, array in (("images", images), ("labels", part.labels.numpy()), ("moments", moments)):
        np.save(stem.with_name(f"{stem.name}_{name}.npy"), array, allow_pickle=False)
