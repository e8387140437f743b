"""Augmentations: what each does to images and labels, against closed forms and kornia."""

from __future__ import annotations

import math
from typing import Any

import kornia
import pytest
import torch
from torch import Tensor, nn

from nas.config.augmentation import AugmentationSpec
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data import DataError, ImageData, ImageSet, TensorLoader, make_augmentation, train_loader
from nas.data.augment.base import Chunk, MixingAugmentation
from nas.data.augment.operations import NAMES, Strengths, apply_operations
from nas.data.augment.pipeline import AUGMENTATION, Augmentation, make_one, partners
from nas.data.resize import Resizing
from search_space.plugins import PluginError

STRENGTHS = Strengths(degrees=90.0, shear=0.5, shift=0.5, factor=0.9, lost_bits=4)


def spec(name: str, **options: Any) -> AugmentationSpec:
    return AugmentationSpec(name, name, options)


def recipe(*specs: AugmentationSpec) -> Recipe:
    return Recipe(augmentation=specs)


def made(name: str, shape: tuple[int, int, int] = (3, 8, 8), **options: Any) -> nn.Module:
    return make_one(spec(name, **options), shape)


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def chunk(count: int, epoch: int = 0, batch: int = 16) -> Chunk:
    return Chunk(torch.arange(count), count, batch, epoch, seed=3)


def data(count: int, shape: tuple[int, int, int] = (3, 8, 8), classes: int = 5) -> ImageData:
    pixels = (noise(count, *shape) * 256).to(torch.uint8)
    part = ImageSet(pixels, torch.arange(count) % classes)
    moments = ((0.5,) * shape[0], (0.25,) * shape[0])
    return ImageData(part, part, tuple("abcdefgh"[:classes]), *moments, "f", shape)


def loader(*names: str, count: int = 100, batch: int = 32, shape: tuple[int, int, int] = (3, 8, 8)) -> TensorLoader:
    augment = make_augmentation(DataSpec(), recipe(*map(spec, names)), shape, 5)
    return train_loader(data(count, shape), augment, batch, seed=7)


def epoch(batches: TensorLoader, number: int) -> list[tuple[Tensor, Tensor]]:
    batches.set_epoch(number)
    return list(batches)


# --- one by one


def test_cutout_is_a_square_of_zeros() -> None:
    torch.manual_seed(0)
    cut = made("cutout", side=0.5)(torch.ones(500, 3, 8, 8))
    zeros = cut == 0
    assert torch.equal(zeros[:, 0], zeros[:, 2])
    rows, columns = zeros[:, 0].any(2).sum(1), zeros[:, 0].any(1).sum(1)
    assert torch.equal(zeros[:, 0].sum((1, 2)), rows * columns)
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4}  # a center at the edge leaves half of it inside
    assert zeros[:, 0].float().mean(0).min() > 0.02  # every pixel is cut sometimes


def test_an_alternating_flip_shows_each_image_both_ways_in_turn() -> None:
    flip, images = made("alternating_flip"), noise(200, 3, 8, 8)
    shown = [flip(images, chunk(200, number)) for number in range(4)]
    assert torch.equal(shown[0], shown[2])
    assert torch.equal(shown[1], shown[3])
    assert torch.equal(shown[0].flip(-1), shown[1])
    mirrored = (shown[0] != images).flatten(1).any(1)
    assert 70 < mirrored.sum() < 130
    part = Chunk(torch.arange(50, 90), 200, 16, 0, seed=3)
    assert torch.equal(flip(images[50:90], part), shown[0][50:90])


def test_a_mixed_image_is_the_weighted_mean_of_two_and_so_are_the_labels() -> None:
    torch.manual_seed(0)
    images, targets = noise(64, 3, 8, 8), torch.eye(64)
    inner = partners(64, 16)
    mixed, shares = made("mixup", alpha=1.0)(images, targets, inner)
    weights = shares.diagonal()
    torch.testing.assert_close(shares.sum(1), torch.ones(64))
    torch.testing.assert_close(shares[torch.arange(64), inner], 1 - weights)
    expected = weights[:, None, None, None] * images + (1 - weights)[:, None, None, None] * images[inner]
    torch.testing.assert_close(mixed, expected)
    assert weights.std() > 0.2  # uniform on [0, 1]: 0.29


def test_an_image_is_mixed_with_the_given_probability() -> None:
    torch.manual_seed(0)
    for name in ("mixup", "cutmix"):
        _, shares = made(name, alpha=5.0, probability=0.25)(noise(2000, 3, 8, 8), torch.eye(2000), partners(2000, 16))
        assert 420 < (shares.diagonal() < 1).sum() < 580


def test_cutmix_shares_the_label_by_the_area_of_a_rectangle() -> None:
    torch.manual_seed(0)
    images = torch.arange(64.0)[:, None, None, None].expand(64, 3, 12, 8).clone()
    inner = partners(64, 16)
    mixed, shares = made("cutmix", (3, 12, 8))(images, torch.eye(64), inner)
    other = mixed[:, 0] == inner[:, None, None]
    assert torch.equal(other, mixed[:, 0] != images[:, 0])
    torch.testing.assert_close(shares.diagonal(), 1 - other.float().mean((1, 2)))
    torch.testing.assert_close(shares.sum(1), torch.ones(64))
    rows, columns = other.any(2).sum(1), other.any(1).sum(1)
    assert torch.equal(other.sum((1, 2)), rows * columns)


@pytest.mark.parametrize(("count", "batch"), [(12, 4), (3, 8), (1, 4)])
def test_a_partner_is_another_image_of_the_same_batch(count: int, batch: int) -> None:
    found = partners(count, batch)
    assert sorted(found.tolist()) == list(range(count))
    assert torch.equal(found // batch, torch.arange(count) // batch)
    assert count == 1 or not (found == torch.arange(count)).any()


@pytest.mark.parametrize("shape", [(3, 16, 12), (1, 8, 8)])
def test_a_random_resized_crop_is_kornias(shape: tuple[int, int, int]) -> None:
    images = noise(40, *shape)
    torch.manual_seed(2)
    oracle = kornia.augmentation.RandomResizedCrop(shape[1:], scale=(0.08, 1.0), ratio=(0.75, 1.3333333))(images)
    torch.manual_seed(2)
    torch.testing.assert_close(made("random_resized_crop", shape)(images), oracle, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8)])
def test_a_color_jitter_is_kornias(shape: tuple[int, int, int]) -> None:
    images = noise(40, *shape)
    saturation = 0.4 if shape[0] == 3 else 0.0
    torch.manual_seed(2)
    oracle = kornia.augmentation.ColorJitter(0.4, 0.4, saturation, 0.0)(images)
    torch.manual_seed(2)
    assert torch.equal(made("color_jitter", shape)(images), oracle)


def operation(name: str, amount: float, images: Tensor) -> Tensor:
    count = len(images)
    return apply_operations(images, torch.full((count,), NAMES.index(name)), torch.full((count,), amount), STRENGTHS)


def test_operations_have_their_closed_forms() -> None:
    images = (noise(20, 3, 8, 8) * 255).round() / 255
    grey = kornia.color.rgb_to_grayscale(images)
    assert torch.equal(operation("identity", 1.0, images), images)
    torch.testing.assert_close(operation("brightness", -1.0, images), 0.1 * images)
    torch.testing.assert_close(operation("brightness", 0.0, images), images)
    torch.testing.assert_close(
        operation("saturation", -0.5, images), images + 0.45 * (grey - images), atol=1e-5, rtol=0
    )
    assert (operation("posterize", 1.0, images) * 255).round().int().remainder(16).eq(0).all()
    torch.testing.assert_close(operation("posterize", 0.0, images), images)
    assert torch.equal(operation("solarize", 1.0, images), torch.where(images > 0, 1 - images, images))
    assert torch.equal(operation("solarize", 0.0, images), images)
    stretched = operation("auto_contrast", 1.0, 0.25 + images / 4)
    torch.testing.assert_close(stretched.amin((2, 3)), torch.zeros(20, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(stretched.amax((2, 3)), torch.ones(20, 3), atol=1e-5, rtol=0)
    flat = torch.full((2, 3, 8, 8), 0.3)
    assert torch.equal(operation("auto_contrast", 1.0, flat), flat)
    torch.testing.assert_close(operation("equalize", 1.0, images), kornia.enhance.equalize(images))
    factor = torch.full((20,), 1.45)
    torch.testing.assert_close(operation("sharpness", 0.5, images), kornia.enhance.sharpness(images, factor))


def test_moves_are_exact_where_pixels_fall_on_pixels() -> None:
    images = noise(20, 3, 8, 8)
    close = {"atol": 1e-5, "rtol": 0.0}
    torch.testing.assert_close(operation("rotate", 1.0, images), images.rot90(1, (2, 3)), **close)
    torch.testing.assert_close(operation("rotate", -1.0, images), images.rot90(-1, (2, 3)), **close)
    moved = operation("translate_x", 0.5, images)
    torch.testing.assert_close(moved[..., :6], images[..., 2:], **close)
    torch.testing.assert_close(moved[..., 6:], torch.full_like(moved[..., 6:], 0.5), **close)
    torch.testing.assert_close(operation("translate_y", -0.5, images)[:, :, 2:], images[:, :, :6], **close)
    assert torch.equal(operation("shear_x", 0.0, images), operation("shear_y", 0.0, images))
    wide = noise(5, 3, 8, 16)
    torch.testing.assert_close(operation("rotate", 0.0, wide), wide, **close)
    turned = apply_operations(wide, torch.zeros(5).long(), torch.ones(5) * 2, STRENGTHS)  # by 180 degrees
    torch.testing.assert_close(turned, wide.flip((2, 3)), **close)


def test_each_image_gets_an_operation_of_its_own() -> None:
    images = noise(28, 3, 8, 8)
    kinds = torch.arange(28) % len(NAMES)
    together = apply_operations(images, kinds, torch.full((28,), 0.5), STRENGTHS)
    for row, kind in enumerate(kinds):
        alone = operation(NAMES[kind], 0.5, images[row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=0)


# --- several at once


def test_of_several_that_mix_each_batch_gets_one() -> None:
    class Marked(MixingAugmentation):
        def __init__(self, mark: float) -> None:
            super().__init__()
            self.mark = mark

        def forward(self, images: Tensor, targets: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
            assert (torch.arange(len(inner)) // 8 == inner // 8).all()
            return images + self.mark, targets + self.mark

    augment = make_augmentation(DataSpec(), recipe(spec("mixup"), spec("cutmix")), (3, 8, 8), 5)
    assert len(augment.mixing) == 2
    plain = epoch(train_loader(data(400), make_augmentation(DataSpec(), Recipe(), (3, 8, 8), 5), 8, seed=7), 0)
    object.__setattr__(augment, "mixing", (Marked(10.0), Marked(20.0)))
    marks = []
    for (before, labels), (after, targets) in zip(
        plain, epoch(train_loader(data(400), augment, 8, seed=7), 0), strict=True
    ):
        mark = float((after - before).mean().round())
        marks.append(mark)
        torch.testing.assert_close(after, before + mark)
        torch.testing.assert_close(targets, nn.functional.one_hot(labels, 5) + mark)
    assert set(marks) == {10.0, 20.0}


def test_named_augmentations_replace_those_of_the_images() -> None:
    images = DataSpec(flip=True, crop_padding=2)
    assert [type(each).__name__ for each in make_augmentation(images, Recipe(), (3, 8, 8), 5).images] == [
        "Crop",
        "Flip",
    ]
    found = make_augmentation(images, recipe(spec("cutout"), spec("color_jitter"), spec("mixup")), (3, 8, 8), 5)
    assert [type(each).__name__ for each in (*found.pixels, *found.images, *found.mixing)] == [
        "ColorJitter",
        "Cutout",
        "Mixup",
    ]


@pytest.mark.parametrize("names", [("crop", "flip"), ("flip", "crop"), ("alternating_flip", "crop"), ("crop", "crop")])
def test_crops_and_flips_of_pixels_are_those_of_images(names: tuple[str, str]) -> None:
    """Crops and mirror images are taken of pixels; behind another augmentation, of normalised images."""
    quick, slow = (
        train_loader(data(64), make_augmentation(DataSpec(), recipe(*specs), (3, 8, 8), 5), 32, seed=7)
        for specs in ([*map(spec, names)], [AugmentationSpec("plain", f"{__name__}.plain"), *map(spec, names)])
    )
    for (one, _), (other, _) in zip(epoch(quick, 3), epoch(slow, 3), strict=True):
        assert torch.equal(one, other)


def test_everything_at_once() -> None:
    names = [name for name in AUGMENTATION.names() if name != "flip"]
    one, other = (epoch(loader(*names), 4) for _ in range(2))
    for (images, labels), (again, _) in zip(one, other, strict=True):
        assert torch.equal(images, again)
        assert labels.shape == (32, 5)
        torch.testing.assert_close(labels.sum(1), torch.ones(32))


# --- sizes


@pytest.mark.parametrize("start", [0.1, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("epochs", [1, 2, 9, 30])
def test_images_grow_to_their_full_size(start: float, epochs: int) -> None:
    resizing = Resizing(start, epochs)
    sides = [resizing.side(32, number) for number in range(epochs)]
    assert sides == sorted(sides)
    assert sides[0] == 4 * round(8 * start)
    assert set(sides[math.ceil(2 / 3 * epochs) :]) <= {32}
    assert all(side % 4 == 0 for side in sides)
    assert resizing.side(1, 0) == 1


def test_batches_have_the_size_of_the_epoch() -> None:
    growing = Recipe(epochs=6, progressive_resize=0.5, augmentation=(spec("flip"), spec("mixup")))
    full = Recipe(epochs=6, augmentation=growing.augmentation)
    made = (make_augmentation(DataSpec(), each, (3, 8, 8), 5) for each in (growing, full))
    small, large = (train_loader(data(100), augment, 32, seed=7) for augment in made)
    for number, side in enumerate((4, 5, 6, 7, 8, 8)):
        for (images, labels), (whole, same) in zip(epoch(small, number), epoch(large, number), strict=True):
            assert images.shape == (32, 3, side, side)
            assert torch.equal(labels, same)
            torch.testing.assert_close(images.mean(), whole.mean(), atol=0.05, rtol=0)
            assert side < 8 or torch.equal(images, whole)


def test_a_fine_pattern_is_averaged_where_images_are_made_smaller() -> None:
    pattern = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 254
    part = ImageSet(pattern.expand(8, 1, 16, 16).to(torch.uint8).contiguous(), torch.zeros(8).long())
    augment = Augmentation(resizing=Resizing(0.5, 3))
    ((images, _),) = TensorLoader(part, 8, ((0.0,), (1.0,)), augment=augment)
    assert images.shape == (8, 1, 8, 8)
    torch.testing.assert_close(images[:, :, 1:-1, 1:-1], torch.full((8, 1, 6, 6), 127 / 255), atol=0.01, rtol=0)


# --- on a GPU


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@needs_gpu
@pytest.mark.parametrize("name", ["", *AUGMENTATION.names()])
def test_a_gpu_makes_the_same_batches_and_is_never_waited_for(name: str) -> None:
    growing = Recipe(epochs=9, progressive_resize=0.5, augmentation=(spec(name),) if name else ())
    augment = make_augmentation(DataSpec(flip=True, crop_padding=1), growing, (3, 8, 8), 5)
    on_cpu, on_gpu = (train_loader(data(300), augment, 32, seed=7, device=device) for device in ("cpu", "cuda"))
    epoch(on_gpu, 0)  # the first batches ask for memory
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = epoch(on_gpu, 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for (images, labels), (moved, theirs) in zip(epoch(on_cpu, 1), found, strict=True):
        otherwise = (moved.cpu() - images).abs() > 1e-3  # on the other side of a threshold of an operation
        assert otherwise.float().mean() < 0.005
        torch.testing.assert_close(theirs.cpu(), labels, atol=1e-6, rtol=0)


# --- mistakes


@pytest.mark.parametrize(
    ("name", "options", "law"),
    [
        ("crop", {"padding": 0.0}, r"option padding of crop must lie in \(0, 1\], got 0"),
        ("flip", {"probability": 1.5}, r"option probability of flip must lie in \(0, 1\], got 1.5"),
        ("cutout", {"side": math.nan}, "must lie between"),
        ("cutout", {"size": 4}, r"cutout takes \['side'\], got \['size'\]"),
        ("mixup", {"alpha": 0.0}, r"option alpha of mixup must lie in \(0, 100\], got 0"),
        ("cutmix", {"probability": 0.0}, r"option probability of cutmix must lie in \(0, 1\], got 0"),
        ("rand_augment", {"operations": 0}, r"option operations of rand_augment must lie in \[1, 14\], got 0"),
        ("rand_augment", {"magnitude": 31.0}, r"option magnitude of rand_augment must lie in \(0, 30\], got 31"),
        ("random_resized_crop", {"scale": [0.5]}, r"option scale of random_resized_crop must be two numbers"),
        ("random_resized_crop", {"ratio": [2.0, 1.0]}, r"option ratio of random_resized_crop must be two numbers"),
        ("color_jitter", {"hue": 0.6}, r"color_jitter.hue must lie in \[0, 0.5\], got 0.6"),
        ("sharpen", {}, "training.augmentation.NAME.module must be one of alternating_flip, color_jitter, crop"),
    ],
)
def test_a_mistake_is_told(name: str, options: dict[str, Any], law: str) -> None:
    with pytest.raises((ValueError, PluginError), match=law):
        make_one(spec(name, **options), (3, 8, 8))


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ValueError, match=r"an augmentation must be a torch module, builtins\.tuple makes tuple"):
        make_one(AugmentationSpec("odd", "builtins.tuple"), (3, 8, 8))


def test_a_recipe_that_cannot_be_followed_is_told_as_images_that_cannot_be_read() -> None:
    with pytest.raises(DataError, match="training images must be augmented as the recipe says: option side of cutout"):
        make_augmentation(DataSpec(), recipe(spec("cutout", side=2.0)), (3, 8, 8), 5)


def plain(_: tuple[int, int, int]) -> nn.Module:
    return nn.Identity()
