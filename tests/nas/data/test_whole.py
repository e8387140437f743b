"""Images of the training and the validation part together, in memory and on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.data import DataSpec, Part, from_tensors, load, load_test, load_whole, make_image_set, write_tensors
from nas.data.dataset import joined
from nas.data.pixel_store import JoinedStore, Store


def pixels(part: Part) -> torch.Tensor:
    return part.take(np.arange(len(part))).images


@pytest.mark.parametrize("streaming", ["never", "always"])
def test_all_images_but_those_of_the_test_part_are_trained_on(streaming: str) -> None:
    spec = DataSpec(streaming=streaming)
    plain, whole = load(spec), load_whole(spec)
    assert len(whole.train) == len(plain.train) + len(plain.validation)
    assert torch.equal(pixels(whole.train), torch.cat([pixels(plain.train), pixels(plain.validation)]))
    assert torch.equal(whole.train.labels, torch.cat([plain.train.labels, plain.validation.labels]))
    values = pixels(whole.train).double() / 255
    assert whole.mean == pytest.approx([float(values.mean())])
    assert whole.std == pytest.approx([float(values.std(correction=0))], rel=1e-6)
    assert whole.mean != plain.mean
    test = load_test(spec)
    seen = {image.tobytes() for image in pixels(whole.train).numpy()}
    assert len(test) + len(whole.train) == 1797
    assert sum(image.tobytes() in seen for image in pixels(test).numpy()) == 0


def test_given_statistics_are_kept() -> None:
    spec = DataSpec(mean=(0.25,), std=(0.5,))
    assert (load_whole(spec).mean, load_whole(spec).std) == ((0.25,), (0.5,))


def test_a_validation_part_of_its_own_is_joined_on_disk_and_in_memory(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 4, 4), generator=generator, dtype=torch.uint8)
    data = from_tensors(images, torch.arange(60) % 2, ("a", "b"))
    write_tensors(data, tmp_path / "t", make_image_set(images[:4], torch.arange(4) % 2, ("a", "b")))
    spec = DataSpec(name="t", source="tensors", path=str(tmp_path / "t"), streaming="never")
    held, streamed = load_whole(spec), load_whole(replace(spec, streaming="always"))
    assert torch.equal(pixels(held.train), torch.cat([pixels(data.train), pixels(data.validation)]))
    order = torch.randperm(len(held.train), generator=generator)
    for (left, labels), (right, others) in zip(
        held.train.chunks(order, 16), streamed.train.chunks(order, 16), strict=True
    ):
        assert torch.equal(left, right)
        assert torch.equal(labels, others)
    assert (held.mean, held.std) == (streamed.mean, streamed.std)


class Counting(Store):
    def __init__(self, first: int, count: int) -> None:
        self.first, self.count = first, count

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.count, 1, 1, 1

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        out[:] = (self.first + rows).astype(np.uint8)[:, None, None, None]


def test_joined_pixels_are_those_of_the_parts_in_any_order() -> None:
    store = JoinedStore(Counting(0, 3), Counting(100, 2))
    assert store.shape == (5, 1, 1, 1)
    out = np.empty((5, 1, 1, 1), dtype=np.uint8)
    store.read(np.array([4, 0, 3, 2, 1]), out)
    assert out.ravel().tolist() == [101, 0, 100, 2, 1]


def test_parts_of_unlike_places_are_joined_in_memory() -> None:
    held, streamed = load(DataSpec(streaming="never")), load(DataSpec(streaming="always"))
    assert torch.equal(
        pixels(joined(held.train, streamed.validation)), torch.cat([pixels(held.train), pixels(held.validation)])
    )
