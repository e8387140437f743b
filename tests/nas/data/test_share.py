"""Shares of batches: one of several processes reads only its rows, and gets the values of the whole batch."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nas.config.augmentation import AugmentationSpec
from nas.config.training import Recipe
from nas.data import (
    DataSpec,
    ImageData,
    ImageSet,
    evaluation_loader,
    make_augmentation,
    train_loader,
    usual_augmentation,
)
from nas.data.augment.pipeline import AUGMENTATION
from nas.data.dataset import Part, StreamedSet

SPEC = DataSpec(flip=True, crop_padding=2)


@dataclass
class CountingStore:
    """Images in memory that count reads."""

    images: NDArray[np.uint8]
    read_rows: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        count, channels, height, width = self.images.shape
        return count, channels, height, width

    def read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        out[:] = self.images[rows]
        with self.lock:
            self.read_rows += rows.tolist()


def data(part: Part) -> ImageData:
    return ImageData(part, part, ("a", "b"), (0.5,) * 3, (0.25,) * 3, "f", (3, 6, 6))


def third(count: int) -> slice:
    """Return the second of three parts."""
    return slice(count // 3, 2 * count // 3)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_share_is_what_it_is_in_whole_batches_and_nothing_else_is_read(threads: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 6, 6), dtype=np.uint8)
    labels = torch.arange(100)
    store = CountingStore(images)
    streamed, held = StreamedSet(store, np.arange(100), labels, threads), ImageSet(torch.from_numpy(images), labels)
    whole = list(train_loader(data(held), usual_augmentation(SPEC), 12, seed=5)) + list(
        evaluation_loader(data(held), 16)
    )
    for part in (streamed, held):
        shared = list(train_loader(data(part), usual_augmentation(SPEC), 12, seed=5, share=third))
        shared += list(evaluation_loader(data(part), 16, share=third))
        assert len(shared) == len(whole) == 8 + 7
        for (pixels, names), (all_pixels, all_names) in zip(shared, whole, strict=True):
            own = third(len(all_names))
            assert torch.equal(pixels[own], all_pixels[own])
            assert torch.equal(names[own], all_names[own])
    assert sorted(store.read_rows) == sorted(name for _, names in whole for name in names[third(len(names))].tolist())
    assert torch.equal(streamed.restricted_to(lambda count: [slice(0, 0)]).take(np.arange(5)).images, held.images[:5])


@pytest.mark.parametrize("name", AUGMENTATION.names())
def test_a_share_of_augmented_batches_is_what_it_is_in_whole_ones(name: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 6, 6), dtype=np.uint8)
    labels = torch.arange(60) % 2
    recipe = Recipe(augmentation=(AugmentationSpec(name, name),))
    augment = make_augmentation(DataSpec(), recipe, (3, 6, 6), 2)
    store = CountingStore(images)
    streamed, held = StreamedSet(store, np.arange(60), labels), ImageSet(torch.from_numpy(images), labels)
    whole = list(train_loader(data(held), augment, 12, seed=5))
    shared = list(train_loader(data(streamed), augment, 12, seed=5, share=third))
    for (pixels, names), (all_pixels, all_names) in zip(shared, whole, strict=True):
        own = third(len(all_names))
        torch.testing.assert_close(pixels[own], all_pixels[own], atol=1e-5, rtol=0)
        assert torch.equal(names[own], all_names[own])
    assert len(store.read_rows) == (60 if augment.mixing else 20)
