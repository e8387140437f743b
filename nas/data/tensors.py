"""A person's own tensors, or LightningDataModule, in place of a source that `load` reads.

    data = from_tensors(images, labels, ("cat", "dog"), spec=DataSpec(name="pets"))
    data = from_datamodule(MyDataModule(), ("cat", "dog"))

Both give what `load` gives. Keep the test images back: nothing here takes them, so no search can look at them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from nas.config.data import DataSpec
from nas.data.dataset import ImageSet, blocks
from nas.data.errors import DataError
from nas.data.images import ImageData
from nas.data.split import split
from nas.data.statistics import mean_and_std, moments


def from_tensors(images: Tensor, labels: Tensor, classes: Sequence[str], *, spec: DataSpec | None = None) -> ImageData:
    """Split a person's own images into a training and a validation part.

    Args:
        images: (N, C, H, W), uint8, or floating point in [0, 1] and not normalised.
        labels: (N,) whole numbers in [0, len(classes)).
        classes: names of the classes.
        spec: `val_fraction`, `train_fraction` and `split_seed` are read, None for their defaults; no test part is cut.

    Raises:
        DataError: tensors of another kind or shape, or a class with too few images.
    """
    whole = image_set(images, labels, classes)
    parts = split(whole.labels.numpy(), tuple(classes), spec or DataSpec(), cut_test=False)
    train, validation = (ImageSet(whole.images[part], whole.labels[part]) for part in (parts.train, parts.validation))
    return _data(train, validation, tuple(classes), whole)


def from_datamodule(module: Any, classes: Sequence[str]) -> ImageData:
    """The images that a LightningDataModule trains and validates on, drained once into memory.

    Its data sets are read in their own order, whatever its loaders shuffle. Leave random augmentation and
    normalisation out of its transforms: the images are kept as they come, and both are done here, for each batch anew.

    Args:
        module: has `prepare_data`, `setup`, `train_dataloader` and `val_dataloader`, whose batches are pairs of images
            and labels as in `from_tensors`.
        classes: names of the classes.

    Raises:
        DataError: batches of another kind.
    """
    module.prepare_data()
    module.setup("fit")
    train = _drain(module.train_dataloader(), classes)
    validation = _drain(module.val_dataloader(), classes)
    if train.images.shape[1:] != validation.images.shape[1:]:
        raise DataError(
            f"train and validation images must be of one shape, "
            f"got {tuple(train.images.shape[1:])} and {tuple(validation.images.shape[1:])}"
        )
    return _data(train, validation, tuple(classes), train, validation)


def _data(train: ImageSet, validation: ImageSet, classes: tuple[str, ...], *hashed: ImageSet) -> ImageData:
    mean, std = mean_and_std(np.concatenate([moments(images) for images in blocks(train)]), train.shape)
    digest = hashlib.sha256(json.dumps(classes).encode())
    for part in hashed:
        digest.update(json.dumps(part.images.shape).encode())
        digest.update(part.labels.numpy().astype("<i8").tobytes())
        for images in blocks(part):
            digest.update(images.data.cast("B"))
    return ImageData(train, validation, classes, mean, std, digest.hexdigest(), train.shape)


def _drain(loader: Any, classes: Sequence[str]) -> ImageSet:
    batches: Iterable[Any] = loader
    if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
        # Made anew, so that nothing is shuffled or dropped: the fingerprint then is the same every time.
        batches = DataLoader(
            loader.dataset,
            batch_size=loader.batch_size or 1,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn if loader.batch_size else None,
        )
    parts = [image_set(*_pair(batch), classes) for batch in batches]
    if not parts:
        raise DataError("a data module must hold images, its loader yields no batch")
    return ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


def _pair(batch: Any) -> tuple[Tensor, Tensor]:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(x, Tensor) for x in batch)):
        raise DataError(f"a batch must be a pair of tensors, images and labels, got {type(batch).__name__}")
    return batch[0], batch[1]


def image_set(images: Tensor, labels: Tensor, classes: Sequence[str]) -> ImageSet:
    """A person's own labelled images, checked, on the CPU.

    Args:
        images: (N, C, H, W), uint8, or floating point in [0, 1] and not normalised.
        labels: (N,) whole numbers in [0, len(classes)).
        classes: names of the classes.

    Raises:
        DataError: tensors of another kind or shape.
    """
    if images.is_floating_point():
        low, high = images.aminmax()
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"floating-point images must lie in [0, 1] (leave normalisation out), "
                f"got {float(low):.3g} to {float(high):.3g}"
            )
        images = (images * 255).round().to(torch.uint8)
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(f"labels must be whole numbers, got {labels.dtype}")
    labels = labels.to("cpu", torch.int64)
    unknown = np.setdiff1d(labels.numpy(), np.arange(len(classes)))
    if len(unknown):
        raise DataError(f"labels must lie in [0, {len(classes)}), one for each class, got {unknown[0]}")
    return ImageSet(images.cpu(), labels)
