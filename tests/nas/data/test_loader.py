from __future__ import annotations

import kornia.augmentation
import pytest
import torch
from torch import Tensor

from nas.data import (
    DataError,
    DataSpec,
    ImageData,
    ImageSet,
    TensorLoader,
    evaluation_loader,
    train_loader,
    usual_augmentation,
)
from nas.data.augment.base import seeded
from nas.data.loader import _mixed_seed

BOTH = usual_augmentation(DataSpec(flip=True, crop_padding=2))
NEITHER = usual_augmentation(DataSpec())


def images(count: int, size: int = 6, channels: int = 3) -> ImageSet:
    """Return noise whose labels are the rows."""
    pixels = torch.randint(0, 256, (count, channels, size, size), generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels.to(torch.uint8), torch.arange(count))


def data(count: int) -> ImageData:
    part = images(count)
    return ImageData(part, images(7), ("a", "b"), (0.5, 0.25, 0.125), (0.25, 0.5, 1.0), "f", (3, 6, 6))


def epoch(loader: TensorLoader, number: int) -> list[tuple[Tensor, Tensor]]:
    loader.set_epoch(number)
    return list(loader)


def equal(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other, strict=True))


def test_an_epoch_is_the_same_in_a_loader_that_starts_there() -> None:
    running = train_loader(data(3000), BOTH, 64, seed=5)
    epochs = [epoch(running, e) for e in range(3)]
    assert equal(epoch(train_loader(data(3000), BOTH, 64, seed=5), 2), epochs[2])
    # Neither an unfinished pass nor other draws in between change it.
    next(iter(running))
    torch.rand(17)
    assert equal(epoch(running, 1), epochs[1])


def test_epochs_and_seeds_differ_in_order_and_augmentation() -> None:
    first = epoch(train_loader(data(64), BOTH, 64, seed=5), 0)
    for other in (
        epoch(train_loader(data(64), BOTH, 64, seed=5), 1),
        epoch(train_loader(data(64), BOTH, 64, seed=6), 0),
    ):
        assert not torch.equal(first[0][1], other[0][1])
        by_label, by_label_too = first[0][0][first[0][1].argsort()], other[0][0][other[0][1].argsort()]
        changed = (by_label != by_label_too).flatten(1).any(1)
        assert changed.float().mean() > 0.8


def test_chunks_and_epochs_are_augmented_differently() -> None:
    same_image = ImageSet(images(1).images.repeat(4096, 1, 1, 1), torch.zeros(4096, dtype=torch.long))
    loader = TensorLoader(same_image, 2048, ((0.0,) * 3, (1.0,) * 3), augment=BOTH)
    (one, _), (other, _) = loader
    assert not torch.equal(one, other)
    assert not torch.equal(one, epoch(loader, 1)[0][0])


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    for _ in train_loader(data(300), BOTH, 64, seed=5):
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_normalisation_is_its_closed_form() -> None:
    source = data(10)
    ((batch, labels),) = evaluation_loader(source, 10)
    oracle = source.validation.images.double() / 255
    oracle = (oracle - torch.tensor([0.5, 0.25, 0.125])[:, None, None]) / torch.tensor([0.25, 0.5, 1.0])[:, None, None]
    torch.testing.assert_close(batch.double(), oracle, atol=1e-6, rtol=1e-6)
    assert batch.dtype == torch.float32
    assert labels.tolist() == list(range(7))


def test_normalised_by_its_own_statistics_a_set_has_mean_0_and_deviation_1() -> None:
    part = images(50)
    pixels = part.images.double() / 255
    mean = tuple(float(m) for m in pixels.mean((0, 2, 3)))
    std = tuple(float(s) for s in pixels.transpose(0, 1).flatten(1).std(1, correction=0))
    batches = torch.cat([batch for batch, _ in TensorLoader(part, 8, (mean, std))])
    torch.testing.assert_close(batches.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        batches.transpose(0, 1).flatten(1).std(1, correction=0), torch.ones(3), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (10, 3, [3, 3, 3]),
        (9, 3, [3, 3, 3]),
        (5, 8, [5]),
        (2, 1, [1, 1]),
        (5000, 1000, [1000] * 5),
        (4100, 4096, [4096]),
    ],
)
def test_training_batches_are_whole(count: int, batch_size: int, sizes: list[int]) -> None:
    loader = train_loader(data(count), NEITHER, batch_size, seed=0)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == sizes
    assert len(loader) == len(sizes)
    seen = torch.cat([labels for _, labels in batches])
    assert len(seen.unique()) == len(seen)


def test_every_image_comes_sometime() -> None:
    loader = train_loader(data(10), NEITHER, 3, seed=0)
    seen = torch.cat([labels for e in range(20) for _, labels in epoch(loader, e)])
    assert seen.unique().tolist() == list(range(10))


def test_validation_batches_hold_every_image_once_in_order() -> None:
    loader = evaluation_loader(data(10), 3)
    assert [labels.tolist() for _, labels in loader] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3
    assert equal(epoch(loader, 0), epoch(loader, 9))


def test_a_test_part_is_normalised_like_the_training_part() -> None:
    source = data(10)
    ((train, _),) = evaluation_loader(source, 10, part=source.train)
    ((direct, _),) = TensorLoader(source.train, 10, (source.mean, source.std))
    assert torch.equal(train, direct)


def test_without_augmentation_a_shuffled_image_is_itself() -> None:
    source = data(40)
    ((plain, _),) = evaluation_loader(source, 40, part=source.train)
    ((shuffled, labels),) = train_loader(source, NEITHER, 40, seed=3)
    assert torch.equal(shuffled, plain[labels])
    assert labels.tolist() != list(range(40))


def test_a_flip_mirrors_about_half_and_changes_nothing_else() -> None:
    source = data(400)
    ((plain, _),) = evaluation_loader(source, 400, part=source.train)
    ((flipped, labels),) = train_loader(source, usual_augmentation(DataSpec(flip=True)), 400, seed=3)
    mirrored = (flipped == plain[labels].flip(-1)).flatten(1).all(1)
    kept = (flipped == plain[labels]).flatten(1).all(1)
    assert bool((mirrored ^ kept).all())
    assert 160 < int(mirrored.sum()) < 240


def test_a_crop_is_the_image_shifted_into_a_border_of_the_mean() -> None:
    source = data(400)
    ((plain, _),) = evaluation_loader(source, 400, part=source.train)
    ((cropped, labels),) = train_loader(source, usual_augmentation(DataSpec(crop_padding=1)), 400, seed=3)
    padded = torch.nn.functional.pad(plain[labels], (1, 1, 1, 1))
    windows = [padded[:, :, y : y + 6, x : x + 6] for y in range(3) for x in range(3)]
    hits = torch.stack([(cropped == window).flatten(1).all(1) for window in windows])
    assert hits.sum(0).tolist() == [1] * 400
    assert int(hits.sum(1).min()) > 20  # each of the nine shifts: 44 expected


@pytest.mark.parametrize(("channels", "padding", "flip"), [(1, 1, True), (3, 4, True), (3, 2, False), (3, 0, True)])
def test_crops_and_flips_are_kornias_bit_for_bit(channels: int, padding: int, flip: bool) -> None:
    part, statistics = images(150, 8, channels), ((0.4,) * channels, (0.3,) * channels)
    augment = usual_augmentation(DataSpec(flip=flip, crop_padding=padding))
    loader = TensorLoader(part, 64, statistics, augment=augment, seed=5)
    found = torch.cat([batch for batch, _ in epoch(loader, 2)])
    order = torch.cat([labels for _, labels in epoch(loader, 2)])
    mean, std = (torch.tensor(values)[:, None, None] for values in statistics)
    oracle = torch.addcmul(-mean / std, part.images[order], 1 / (255 * std))
    with seeded(_mixed_seed(5, 2, 1), torch.device("cpu")):
        oracle = kornia.augmentation.RandomCrop((8, 8), padding=padding)(oracle) if padding else oracle
        oracle = kornia.augmentation.RandomHorizontalFlip(p=0.5)(oracle) if flip else oracle
    assert torch.equal(found, oracle)


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_lie_in_memory_as_networks_are_trained(channels: int) -> None:
    part, statistics = images(20, 6, channels), ((0.4,) * channels, (0.3,) * channels)
    for augment in (None, NEITHER, BOTH):
        ((batch, _),) = TensorLoader(part, 20, statistics, augment=augment)
        usual = torch.zeros(20, channels, 6, 6).contiguous(memory_format=torch.channels_last)
        assert batch.stride() == usual.stride()


@pytest.mark.parametrize(
    ("count", "batch_size", "seed", "message"),
    [
        (5, 0, 0, "batch_size must be at least 1, got 0"),
        (5, 1, -1, "seed must be at least 0, got -1"),
        (0, 1, 0, "a loader needs at least one image, got none"),
    ],
)
def test_a_loader_checks_what_it_is_given(count: int, batch_size: int, seed: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train_loader(data(count), NEITHER, batch_size, seed=seed)


def test_an_epoch_before_the_first_is_refused() -> None:
    with pytest.raises(DataError, match="epoch must be at least 0, got -1"):
        evaluation_loader(data(5), 2).set_epoch(-1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_epochs_repeat_and_the_random_state_is_left_alone() -> None:
    before = torch.cuda.get_rng_state()
    one = epoch(train_loader(data(300), BOTH, 64, seed=5, device="cuda"), 1)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert one[0][0].is_cuda
    assert equal(epoch(train_loader(data(300), BOTH, 64, seed=5, device="cuda"), 1), one)
