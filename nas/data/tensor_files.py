"""A person's own images on disk, so that every process of a search, and any later one, reads the very same."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from nas.data.build import RECORD
from nas.data.cache import Kept, aside, open_folder, put_in_place
from nas.data.dataset import ImageSet, Part, blocks
from nas.data.errors import DataError
from nas.data.images import ImageData
from nas.data.statistics import moments


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
    if test is not None and test.shape != data.shape:
        raise DataError(f"test images must have the shape {data.shape} of the others, got {test.shape}")
    parts: dict[str, Part] = {"train": data.train, "validation": data.validation} | ({"test": test} if test else {})
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
        shapes = {name: {"shape": _shape(part), "fingerprint": prints[name]} for name, part in parts.items()}
        record = {"classes": list(data.classes), "test": None, **shapes}
        (partial / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        if existing is not None:
            shutil.rmtree(folder)
        put_in_place(partial, folder)


def _test_fingerprint(existing: Kept) -> str | None:
    return None if existing.test is None else existing.test.fingerprint


def _fingerprint(classes: tuple[str, ...], part: Part) -> str:
    digest = hashlib.sha256(json.dumps([_shape(part), classes]).encode())
    digest.update(part.labels.numpy().astype("<i8").tobytes())
    for images in blocks(part):
        digest.update(images.data.cast("B"))
    return digest.hexdigest()


def _shape(part: Part) -> list[int]:
    return [len(part), *part.shape]


def _write_part(part: Part, stem: Path) -> None:
    sums = []
    with stem.with_name(f"{stem.name}_images.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": tuple(_shape(part))}
        np.lib.format.write_array_header_1_0(file, header)
        for images in blocks(part):
            file.write(images.data.cast("B"))
            sums.append(moments(images))
    for name, array in (("labels", part.labels.numpy()), ("moments", np.concatenate(sums))):
        np.save(stem.with_name(f"{stem.name}_{name}.npy"), array, allow_pickle=False)
