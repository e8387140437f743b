"""Tensors from Python on disk: the same images and splits when read back, and never pickles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.data import (
    DataError,
    DataSpec,
    ImageData,
    ImageSet,
    describe,
    from_tensors,
    load,
    load_test,
    make_image_set,
    write_tensors,
)

CLASSES = ("a", "b")


def tensors(count: int = 40, seed: int = 0, side: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator).to(torch.uint8), torch.arange(count) % 2


def own(seed: int = 0, **spec: float) -> ImageData:
    return from_tensors(*tensors(seed=seed), CLASSES, spec=DataSpec(**spec))  # type: ignore[arg-type]  # numbers all


def held_out(seed: int = 9, side: int = 5) -> ImageSet:
    return make_image_set(*tensors(8, seed, side), CLASSES)


def spec_of(folder: Path, **changes: object) -> DataSpec:
    return DataSpec(name="own", source="tensors", path=str(folder), **changes)  # type: ignore[arg-type]  # as above


def equal(one: ImageSet, two: ImageSet) -> bool:
    return torch.equal(one.images, two.images) and torch.equal(one.labels, two.labels)


def test_written_tensors_are_read_back(tmp_path: Path) -> None:
    data, test = own(val_fraction=0.25), held_out()
    write_tensors(data, tmp_path / "data", test)
    spec = spec_of(tmp_path / "data", val_fraction=0.6, test_fraction=0.3)  # split already: neither is read
    found = load(spec)
    assert equal(found.train, data.train)
    assert equal(found.validation, data.validation)
    assert equal(load_test(spec), test)
    assert (found.classes, found.mean, found.std, found.shape) == (data.classes, data.mean, data.std, data.shape)
    info = describe(spec)
    assert (info.train, info.validation, info.test, info.shape) == (30, 10, 8, (3, 5, 5))
    assert info.fingerprint == found.fingerprint


def test_the_files_are_plain_arrays(tmp_path: Path) -> None:
    write_tensors(own(), tmp_path / "data", held_out())
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    for path in (tmp_path / "data").glob("*.npy"):
        np.load(path, allow_pickle=False)
    assert np.load(tmp_path / "data" / "train_images.npy").dtype == np.uint8


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads memory maps where Linux lists them")
def test_the_files_are_read_and_not_mapped(tmp_path: Path) -> None:
    write_tensors(own(), tmp_path / "data")
    train = load(spec_of(tmp_path / "data", streaming="always")).train
    chunks = train.chunks(torch.arange(len(train)), 8)
    next(chunks)
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    images = tmp_path / "data" / "train_images.npy"
    images.write_bytes(images.read_bytes()[:200])  # of a mapped file, this would end the process
    with pytest.raises(DataError, match=r"train_images\.npy can't be read: it has been cut short"):
        list(train.chunks(torch.arange(len(train)), 8))


def test_a_share_of_the_training_part_can_be_taken(tmp_path: Path) -> None:
    write_tensors(own(), tmp_path)
    whole, half = load(spec_of(tmp_path)), load(spec_of(tmp_path, train_fraction=0.5))
    assert torch.bincount(half.train.labels).tolist() == [8, 8]
    assert equal(half.validation, whole.validation)
    rows = {image.numpy().tobytes() for image in whole.train.images}
    assert all(image.numpy().tobytes() in rows for image in half.train.images)


def test_the_same_again_changes_nothing_and_a_test_part_can_come_later(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_tensors(own(), folder)
    with pytest.raises(DataError, match="own has no test part: none was given"):
        load_test(spec_of(folder))
    before = (folder / "train_images.npy").stat().st_mtime_ns
    write_tensors(own(), folder)
    assert (folder / "train_images.npy").stat().st_mtime_ns == before
    write_tensors(own(), folder, held_out())
    assert equal(load_test(spec_of(folder)), held_out())
    write_tensors(own(), folder)
    assert equal(load_test(spec_of(folder)), held_out())
    write_tensors(own(), folder, held_out(seed=3))
    assert equal(load_test(spec_of(folder)), held_out(seed=3))


@pytest.mark.parametrize("other", [own(seed=1), own(val_fraction=0.5)])
def test_other_images_or_another_split_are_refused(tmp_path: Path, other: ImageData) -> None:
    write_tensors(own(), tmp_path)
    with pytest.raises(DataError, match="holds other images than those given"):
        write_tensors(other, tmp_path)
    assert equal(load(spec_of(tmp_path)).train, own().train)


def test_test_images_must_look_like_the_others(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must have the shape \(3, 5, 5\) of the others, got \(3, 6, 6\)"):
        write_tensors(own(), tmp_path / "data", held_out(side=6))
    assert not (tmp_path / "data").exists()


def test_an_absent_or_damaged_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a complete, readable folder of tensors from Python"):
        load(spec_of(tmp_path / "nowhere"))
    write_tensors(own(), tmp_path / "data")
    np.save(tmp_path / "data" / "train_labels.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="complete, readable folder"):
        load(spec_of(tmp_path / "data"))
