from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nas.data import DataError, DataSpec, ImageSet, from_datamodule, from_tensors

CLASSES = ("a", "b")


def pixels(count: int = 40) -> Tensor:
    return torch.randint(0, 256, (count, 3, 5, 5), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def labels(count: int = 40) -> Tensor:
    return torch.arange(count) % 2


class Module:
    """Object with the interface of a LightningDataModule."""

    def __init__(self, *, shuffle: bool = False, scale: float = 1 / 255) -> None:
        self.calls: list[str] = []
        self.shuffle = shuffle
        self.whole = TensorDataset(pixels() * scale if scale != 1 else pixels(), labels())

    def prepare_data(self) -> None:
        self.calls.append("prepare_data")

    def setup(self, stage: str) -> None:
        self.calls.append(stage)

    def train_dataloader(self) -> Any:
        return DataLoader(self.whole, batch_size=7, shuffle=self.shuffle, drop_last=True)

    def val_dataloader(self) -> Any:
        return DataLoader(TensorDataset(*self.whole[:10]), batch_size=4)


def test_tensors_are_split_like_any_source() -> None:
    data = from_tensors(pixels(), labels(), CLASSES, spec=DataSpec(val_fraction=0.25, train_fraction=0.5))
    assert (len(data.train), len(data.validation), data.shape) == (16, 10, (3, 5, 5))
    assert torch.bincount(data.train.labels).tolist() == [8, 8]
    scaled = data.train.images.double() / 255
    assert data.mean == pytest.approx(scaled.mean((0, 2, 3)).tolist())
    assert data.std == pytest.approx(scaled.transpose(0, 1).flatten(1).std(1, correction=0).tolist())
    assert data.fingerprint == from_tensors(pixels(), labels(), CLASSES).fingerprint
    assert data.fingerprint != from_tensors(pixels(), 1 - labels(), CLASSES).fingerprint


def test_a_constant_channel_can_be_divided_by() -> None:
    constant = torch.full((8, 1, 2, 2), 9, dtype=torch.uint8)
    assert from_tensors(constant, labels(8), CLASSES).std == (1 / 255,)


def test_floats_from_0_to_1_are_the_same_as_bytes() -> None:
    bytes_, floats = (from_tensors(x, labels(), CLASSES) for x in (pixels(), pixels() / 255))
    assert torch.equal(bytes_.train.images, floats.train.images)


def test_integers_of_any_width_and_whole_labels_of_any_type_are_taken() -> None:
    plain = from_tensors(pixels(), labels(), CLASSES)
    for images, targets in (
        (pixels().to(torch.int32), labels().double()),
        (pixels().to(torch.uint16), labels().byte()),
    ):
        data = from_tensors(images, targets, CLASSES)
        assert data.fingerprint == plain.fingerprint
        assert torch.equal(data.train.labels, plain.train.labels)


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        (pixels() / 100, labels(), r"must lie in \[0, 1\] \(leave normalisation out\), got 0 to 2.55"),
        (pixels().float() * torch.nan, labels(), r"must lie in \[0, 1\]"),
        (pixels().long() + 1, labels(), r"integer images must lie in 0 to 255, got torch.int64 of 1 to 256"),
        (pixels().long() - 1, labels(), r"integer images must lie in 0 to 255, got torch.int64 of -1 to 254"),
        (pixels()[0], labels(), r"images must be uint8 \(N, C, H, W\), got torch.uint8 \(3, 5, 5\)"),
        (pixels(), labels() + 0.5, "labels must be whole numbers, got 0.5"),
        (pixels(), labels() * torch.nan, "labels must be whole numbers, got nan"),
        (pixels()[:0], labels(0), r"at least one value, got \(0, 3, 5, 5\)"),
        (pixels(), labels(7), r"labels must be int64, one an image \(40\), got torch.int64 \(7,\)"),
        (pixels(), labels() + 1, r"labels must lie in \[0, 2\), one for each class, got 2"),
        (pixels(2), labels(2), "every class needs at least 2 images .* 'a' has 1"),
    ],
)
def test_unusable_tensors_are_refused(images: Tensor, targets: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_tensors(images, targets, CLASSES)


def test_a_data_module_is_drained_whole_and_in_order() -> None:
    module = Module(shuffle=True)
    data = from_datamodule(module, CLASSES)
    assert module.calls == ["prepare_data", "fit"]
    assert torch.equal(data.train.images, pixels())
    assert torch.equal(data.validation.images, pixels()[:10])
    assert data.fingerprint == from_datamodule(Module(scale=1), CLASSES).fingerprint


def test_a_loader_of_any_kind_is_taken_as_it_comes() -> None:
    module = Module()
    module.train_dataloader = lambda: [(pixels()[:3], labels(3)), (pixels()[3:8], labels(5))]  # type: ignore[method-assign]  # a stand-in
    assert torch.equal(from_datamodule(module, CLASSES).train.images, pixels()[:8])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "its loader yields no batch"),
        ([{"image": 1}], "a batch must be a pair of tensors, images and labels, got dict"),
        ([(pixels()[:, :, :4], labels())], r"must be of one shape, got \(3, 4, 5\) and \(3, 5, 5\)"),
    ],
)
def test_an_unusable_data_module_is_refused(batches: list[Any], message: str) -> None:
    module = Module()
    module.train_dataloader = lambda: batches  # type: ignore[method-assign]  # a stand-in
    with pytest.raises(DataError, match=message):
        from_datamodule(module, CLASSES)


def test_a_set_checks_itself() -> None:
    with pytest.raises(DataError, match="labels must be int64"):
        ImageSet(pixels(), labels().int())
