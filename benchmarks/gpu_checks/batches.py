"""Checks of the batches of training images."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from gpu_checks.base import Context, Figures, require
from gpu_checks.noting import noting
from gpu_checks.trainings import CLASSES, patterned
from nas.config.augmentation import AugmentationSpec
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data import ImageData, TensorLoader, make_augmentation, train_loader
from nas.data.augment.pipeline import AUGMENTATION
from nas.data.dataset import StreamedSet

CLOSE, OTHERWISE = 1e-3, 1e-3
"""Largest difference of a value from the CPU's, and largest share of other values: an operation with a threshold may
take the other side of it where its input was rounded otherwise."""
IMAGES, SIDE, BATCH = 600, 16, 32


class Memory:
    """Store of images in memory, from which they are streamed."""

    def __init__(self, images: Tensor) -> None:
        self._images = images.numpy()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        count, channels, height, width = self._images.shape
        return count, channels, height, width

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Copy the images at `rows`."""
        out[:] = self._images[rows]


def augmented(context: Context) -> Figures:
    """Compare the batches of each augmentation, held and streamed, with the CPU's; count calls that wait."""
    images = patterned(IMAGES, SIDE)
    held = images.train
    streamed = ImageData(
        StreamedSet(Memory(held.take(np.arange(len(held))).images), np.arange(len(held)), held.labels, threads=2),
        *(images.validation, images.classes, images.mean, images.std, images.fingerprint, images.shape),
    )
    differences, places = {}, Counter[str]()
    for name in AUGMENTATION.names():
        recipe = Recipe(epochs=6, progressive_resize=0.5, augmentation=(AugmentationSpec(name, name),))
        augment = make_augmentation(DataSpec(), recipe, images.shape, CLASSES)
        expected = _epoch(train_loader(images, augment, BATCH, seed=0), 1)
        for data in (images, streamed):
            loader = train_loader(data, augment, BATCH, seed=0, device=context.device)
            _epoch(loader, 0)  # the first batches ask for memory
            with noting(places)() if context.device == "cuda" else nullcontext():
                found = _epoch(loader, 1)
            differences[name] = max(differences.get(name, 0.0), _share_otherwise(found, expected))
    figures = {"share_otherwise": differences, "synchronisations": dict(places)}
    require(max(differences.values()) <= OTHERWISE, f"{1 - OTHERWISE:.1%} of the values must be the CPU's", figures)
    require(not places, f"no batch may wait for the device, {sum(places.values())} calls did", figures)
    return figures


def _epoch(loader: TensorLoader, number: int) -> list[tuple[Tensor, Tensor]]:
    loader.set_epoch(number)
    return list(loader)


def _share_otherwise(found: list[tuple[Tensor, Tensor]], expected: list[tuple[Tensor, Tensor]]) -> float:
    pairs = zip(found, expected, strict=True)
    both = (each for batch, same in pairs for each in zip(batch, same, strict=True))
    apart = [((one.cpu() - other).abs() > CLOSE).flatten() for one, other in both]
    return float(torch.cat(apart).float().mean())
