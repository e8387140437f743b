"""Tensors from Python, or a LightningDataModule, as an image set; their files in a study's folder.

    data = from_tensors(images, labels, ("cat", "dog"), spec=DataSpec(name="pets"))
    data = from_datamodule(MyDataModule(), ("cat", "dog"))

Both return what `load` returns. They take no test images, so that no search can use them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from nas.config.data import DataSpec
from nas.data.build import RECORD, check_class_names, widened
from nas.data.cache import CachedSource, build_folder, open_folder, publish
from nas.data.dataset import ImageSet, Part, blocks
from nas.data.errors import DataError
from nas.data.images import ImageData
from nas.data.split import split
from nas.data.statistics import image_hashes, mean_and_std, moments
from nas.jobs.hashes import content_hash


def from_tensors(images: Tensor, labels: Tensor, classes: Sequence[str], *, spec: DataSpec | None = None) -> ImageData:
    """Split tensors into a training and a validation part.

    Args:
        images: (N, C, H, W), uint8, or floating point in [0, 1] and not normalised.
        labels: (N,) integers in [0, len(classes)).
        classes: names of the classes.
        spec: `val_fraction`, `train_fraction` and `split_seed` are read; None for their defaults. No test part is cut.

    Raises:
        DataError: tensors of another type, shape or range, or a class with too few images.
    """
    whole = make_image_set(images, labels, classes)
    rows = split(whole.labels.numpy(), tuple(classes), spec or DataSpec(), cut_test=False)
    return _image_data(whole.take(rows.train), whole.take(rows.validation), tuple(classes), [whole])


def from_datamodule(module: Any, classes: Sequence[str]) -> ImageData:
    """Read the training and validation images of a LightningDataModule once into memory.

    Its data sets are read in their own order, even if its loaders shuffle. Its transforms must neither augment nor
    normalise: the images are kept as they are, and both are done later for each batch.

    Args:
        module: has `prepare_data`, `setup`, `train_dataloader` and `val_dataloader`; batches are pairs of images and
            labels as for `from_tensors`.
        classes: names of the classes.

    Raises:
        DataError: batches of another kind.
    """
    module.prepare_data()
    module.setup("fit")
    train = _read_all(module.train_dataloader(), classes)
    validation = _read_all(module.val_dataloader(), classes)
    if train.shape != validation.shape:
        raise DataError(f"train and validation images must be of one shape, got {train.shape} and {validation.shape}")
    return _image_data(train, validation, tuple(classes), [train, validation])


def make_image_set(images: Tensor, labels: Tensor, classes: Sequence[str]) -> ImageSet:
    """Check labelled images, and move them to the CPU as uint8.

    Args:
        images: (N, C, H, W), uint8, or floating point in [0, 1] and not normalised.
        labels: (N,) integers in [0, len(classes)).
        classes: names of the classes.

    Raises:
        DataError: tensors of another type, shape or range.
    """
    check_class_names(classes)
    images = _as_bytes(images)
    labels = _whole(labels)
    unknown = np.setdiff1d(labels.numpy(), np.arange(len(classes)))
    if len(unknown):
        raise DataError(f"labels must lie in [0, {len(classes)}), one for each class, got {unknown[0]}")
    return ImageSet(images.cpu(), labels)


def _as_bytes(images: Tensor) -> Tensor:
    """Return images as uint8: integers as they are, floating point times 255."""
    if not images.numel():
        raise DataError(f"images must be (N, C, H, W) with at least one value, got {tuple(images.shape)}")
    if images.dtype == torch.uint8:
        return images
    if images.is_complex() or images.dtype == torch.bool:
        raise DataError(f"images must be uint8, or floating point in [0, 1], got {images.dtype}")
    if images.is_floating_point():
        low, high = (float(end) for end in images.aminmax())
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"floating-point images must lie in [0, 1] (leave normalisation out), got {low:.3g} to {high:.3g}"
            )
        return (images * 255).round().to(torch.uint8)
    values = images.cpu().numpy()  # torch has no extremes of uint16
    low, high = values.min(), values.max()
    if low < 0 or high > 255:
        raise DataError(f"integer images must lie in 0 to 255, got {images.dtype} of {low:g} to {high:g}")
    return images.to(torch.uint8)


def _whole(labels: Tensor) -> Tensor:
    """Return labels as int64 on the CPU; floating-point ones, as pandas makes them, must be whole."""
    labels = labels.to("cpu")
    if labels.is_complex():
        raise DataError(f"labels must be whole numbers, got {labels.dtype}")
    if labels.is_floating_point():
        odd = labels[~(labels == labels.round())]  # NaN too
        if len(odd):
            raise DataError(f"labels must be whole numbers, got {float(odd[0]):g}")
    return labels.to(torch.int64)


def write_tensors(data: ImageData, folder: Path, test: ImageSet | None = None) -> None:
    """Write images into `folder`, where source `tensors` reads them with `data.path`.

    The folder has the format of the cache: uint8 arrays in .npy files, which are read by position and not memory-mapped
    (see `pixel_store`), and no pickles. A second call with the same images does nothing; another test part replaces the
    old one.

    Args:
        data: images to train and validate on, of `from_tensors` or `from_datamodule`.
        folder: folder of this image set alone, created if it doesn't exist.
        test: images to test retrained networks on; a search never reads them.

    Raises:
        DataError: the folder holds other images or can't be written, or the test images have another shape.
    """
    if test is not None and test.shape != data.shape:
        raise DataError(f"test images must have the shape {data.shape} of the others, got {test.shape}")
    parts: dict[str, Part] = {"train": data.train, "validation": data.validation} | ({"test": test} if test else {})
    prints = {name: _fingerprint(data.classes, part) for name, part in parts.items()}
    # One fingerprint of training and validation part: a study is resumed with the same split only.
    prints["train"] = content_hash([f"{prints['train']}/{prints['validation']}"])
    existing = open_folder(folder)
    if existing is not None:
        if existing.train.fingerprint != prints["train"]:
            raise DataError(f"{folder} holds other images than those given: give the study another name")
        if test is None or _test_fingerprint(existing) == prints["test"]:
            return
    with build_folder(folder) as partial:
        values = {name: _write_part(part, partial / name) for name, part in parts.items()}
        shapes = {
            name: {"shape": _shape(part), "fingerprint": prints[name], "values": values[name]}
            for name, part in parts.items()
        }
        record = {"classes": list(data.classes), "test": None, **shapes}
        (partial / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        if existing is not None:
            shutil.rmtree(folder)
        publish(partial, folder)


def _image_data(
    train: ImageSet, validation: ImageSet, classes: tuple[str, ...], hashed: Sequence[ImageSet]
) -> ImageData:
    mean, std = mean_and_std(np.concatenate([moments(images) for images in blocks(train)]), train.shape)
    pieces = (chain([json.dumps(_shape(part))], _content(part)) for part in hashed)
    fingerprint = content_hash(chain([json.dumps(classes)], *pieces))
    return ImageData(train, validation, classes, mean, std, fingerprint, train.shape)


def _read_all(loader: Any, classes: Sequence[str]) -> ImageSet:
    batches: Iterable[Any] = loader
    if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
        # A new loader that neither shuffles nor drops images, so that the fingerprint is reproducible.
        batches = DataLoader(
            loader.dataset,
            batch_size=loader.batch_size or 1,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn if loader.batch_size else None,
        )
    parts = [make_image_set(*_pair(batch), classes) for batch in batches]
    if not parts:
        raise DataError("a data module must hold images, its loader yields no batch")
    return ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


def _pair(batch: Any) -> tuple[Tensor, Tensor]:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(x, Tensor) for x in batch)):
        raise DataError(f"a batch must be a pair of tensors, images and labels, got {type(batch).__name__}")
    return batch[0], batch[1]


def _test_fingerprint(existing: CachedSource) -> str | None:
    return None if existing.test is None else existing.test.fingerprint


def _fingerprint(classes: tuple[str, ...], part: Part) -> str:
    return content_hash(chain([json.dumps([_shape(part), classes])], _content(part)))


def _shape(part: Part) -> list[int]:
    return [len(part), *part.shape]


def _content(part: Part) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a part's labels and pixels."""
    yield part.labels.numpy().astype("<i8").tobytes()
    for images in blocks(part):
        yield images.data.cast("B")


def _write_part(part: Part, stem: Path) -> tuple[int, int]:
    """Write the arrays of a part, and return the lowest and the highest value of its pixels."""
    sums, hashes, values = [], [], (255, 0)
    with stem.with_name(f"{stem.name}_images.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": tuple(_shape(part))}
        np.lib.format.write_array_header_1_0(file, header)
        for images in blocks(part):
            file.write(images.data.cast("B"))
            sums.append(moments(images))
            hashes.append(image_hashes(images))
            values = widened(values, images)
    arrays = {"labels": part.labels.numpy(), "moments": np.concatenate(sums), "hashes": np.concatenate(hashes)}
    for name, array in arrays.items():
        np.save(stem.with_name(f"{stem.name}_{name}.npy"), array, allow_pickle=False)
    return values
