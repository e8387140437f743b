"""Contract of every augmentation, on images of every kind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas.config.augmentation import AugmentationSpec
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data import ImageData, ImageSet, TensorLoader, make_augmentation, train_loader
from nas.data.augment.base import PixelAugmentation
from nas.data.augment.pipeline import AUGMENTATION, make_one

NAMES = AUGMENTATION.names()
SHAPES = ((1, 8, 8), (3, 12, 10), (3, 1, 7), (1, 2, 2), (3, 1, 1))
Batch = tuple[Tensor, Tensor]
pytestmark = pytest.mark.parametrize("name", NAMES)


def loader(names: tuple[str, ...], shape: tuple[int, int, int] = (3, 8, 8), batch: int = 32) -> TensorLoader:
    pixels = torch.randint(0, 256, (100, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    part = ImageSet(pixels, torch.arange(100) % 5)
    data = ImageData(part, part, tuple("abcde"), (0.5,) * shape[0], (0.25,) * shape[0], "f", shape)
    recipe = Recipe(augmentation=tuple(AugmentationSpec(name, name) for name in names))
    return train_loader(data, make_augmentation(DataSpec(), recipe, shape, 5), batch, seed=7)


def epoch(batches: TensorLoader, number: int) -> list[Batch]:
    batches.set_epoch(number)
    return list(batches)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [1, 32, 200])
def test_batches_have_the_shape_of_the_images(name: str, shape: tuple[int, int, int], batch: int) -> None:
    for images, labels in epoch(loader((name,), shape, batch), 1):
        assert images.shape == (min(batch, 100), *shape)
        assert images.dtype == torch.float32
        assert images.isfinite().all()
        if labels.ndim == 1:
            assert labels.dtype == torch.int64
            continue
        assert labels.dtype == torch.float32
        assert labels.shape == (len(images), 5)
        assert labels.min() >= 0
        torch.testing.assert_close(labels.sum(1), torch.ones(len(labels)))


def test_all_randomness_follows_from_seed_and_epoch(name: str) -> None:
    running, resumed = loader((name,)), loader((name,))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    epochs = [epoch(running, number) for number in range(3)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(17)
    assert same(epoch(resumed, 2), epochs[2])
    assert not same(epochs[1], epochs[2])


def test_it_changes_some_pixels(name: str) -> None:
    assert not same(epoch(loader(()), 1), epoch(loader((name,)), 1))


def test_pixels_stay_in_their_interval_and_their_source_as_it_was(name: str) -> None:
    images = torch.rand((40, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    kept = images.clone()
    module = make_one(AugmentationSpec(name, name), (3, 8, 8))
    if not isinstance(module, PixelAugmentation):
        return
    changed = module(images)
    assert torch.equal(images, kept)
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
