"""Shares of batches: one of several processes reads only its rows, and gets the values of the whole batch."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nas.data import DataSpec, ImageData, ImageSet, evaluation_loader, train_loader, usual_augmentation
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
