"""Streamed sets: the same batches as of sets in memory, bounded memory, and errors that name the file."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nas.data import (
    DataError,
    DataSpec,
    ImageData,
    ImageSet,
    StreamedSet,
    describe,
    evaluation_loader,
    load,
    load_test,
    resolve_streaming,
    train_loader,
    usual_augmentation,
    write_tensors,
)
from nas.data.copies import CopyStream
from nas.data.dataset import AHEAD
from nas.data.loader import chunk_size
from nas.data.statistics import mean_and_std

ROOT = Path(__file__).parents[3]
HELD: dict[str, Any] = {"streaming": "never"}
READ: dict[str, Any] = {"streaming": "always", "decode_workers": 2}
DECODED_ANEW: dict[str, Any] = {**READ, "cache_gib": 0.0}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink chunks to two batches, so that an epoch has several."""
    monkeypatch.setattr("nas.data.loader.CHUNK", 14)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write JPEGs of several sizes, smooth enough to survive the compression, in two classes of 30 and 20."""
    random = np.random.default_rng(0)
    for name, count in (("cat", 30), ("dog", 20)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            size = (40 + number % 7, 36 + number % 5)
            coarse.resize(size, Image.Resampling.BICUBIC).save(tmp_path / "photos" / name / f"{number:03}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def folder(photos: Path) -> DataSpec:
    return DataSpec(
        name="photos", source="image_folder", path=str(photos), resolution=16, flip=True, crop_padding=2, **HELD
    )


@pytest.fixture
def shards(photos: Path, tmp_path: Path) -> DataSpec:
    """Write the same pictures as Parquet files, with a test part."""
    files = sorted(photos.rglob("*.jpg"))
    (tmp_path / "shards").mkdir()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    for part, some in (("train-0", files[0::3]), ("train-1", files[1::3]), ("test-0", files[2::3])):
        rows = {
            "image": [{"bytes": file.read_bytes(), "path": None} for file in some],
            "label": [file.parent.name for file in some],
        }
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "shards" / f"{part}.parquet")
    return DataSpec(name="shards", source="parquet", path=str(tmp_path / "shards"), resolution=16, flip=True, **HELD)


@pytest.fixture
def digits() -> DataSpec:
    return DataSpec(crop_padding=1, train_fraction=0.5, **HELD)


def another_cache(spec: DataSpec, folder: Path, how: dict[str, Any]) -> DataSpec:
    return replace(spec, cache=str(folder), **how)


def batches(data: ImageData, spec: DataSpec, epochs: list[int]) -> list[tuple[Tensor, Tensor]]:
    loader = train_loader(data, usual_augmentation(spec), 7, seed=5)
    found = []
    for epoch in epochs:
        loader.set_epoch(epoch)
        found += list(loader)
    return found + list(evaluation_loader(data, 4))


def assert_same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> None:
    assert len(one) == len(other) > 2
    assert all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other, strict=True))


@pytest.mark.parametrize("source", ["folder", "shards", "digits"])
@pytest.mark.parametrize("how", [READ, DECODED_ANEW], ids=["read", "decoded anew"])
def test_a_streamed_set_gives_what_memory_gives_bit_for_bit(
    source: str, how: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spec: DataSpec = request.getfixturevalue(source)
    streamed = another_cache(spec, tmp_path / "own", how)
    one, other = load(spec), load(streamed)
    assert isinstance(one.train, ImageSet)
    assert isinstance(other.train, StreamedSet)
    assert (one.mean, one.std, one.fingerprint, one.shape) == (other.mean, other.std, other.fingerprint, other.shape)
    assert describe(streamed).decoded == ("cache_gib" not in how)
    assert bool(list((tmp_path / "own").rglob("*_images.npy"))) == ("cache_gib" not in how)
    assert_same(batches(one, spec, [0, 1, 2]), batches(other, spec, [0, 1, 2]))
    # A training resumed at epoch 2 never saw the ones before.
    assert_same(batches(one, spec, [2]), batches(other, spec, [2]))
    tests = load_test(spec), load_test(streamed)
    assert_same(*(list(evaluation_loader(one, 2, part=part)) for part in tests))


def assert_no_readers_stay() -> None:
    """Assert that every thread that reads or decodes images ends within seconds."""
    for thread in threading.enumerate():
        if thread.name.startswith("images"):
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.parametrize("threads", [1, 3])
def test_neither_threads_nor_an_unfinished_pass_change_a_batch(threads: int, folder: DataSpec) -> None:
    data = load(replace(folder, streaming="always", decode_workers=threads))
    loader = train_loader(data, usual_augmentation(folder), 7, seed=5)
    next(iter(loader))
    assert_same(list(loader), list(train_loader(load(folder), usual_augmentation(folder), 7, seed=5)))
    assert_no_readers_stay()


@pytest.mark.parametrize("streaming", [{"streaming": "always"}, DECODED_ANEW])
def test_an_unfinished_pass_is_closed_without_joining_a_thread(
    streaming: dict[str, Any], folder: DataSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The garbage collector may close it while its thread holds the lock that a join takes.
    part = load(replace(folder, **streaming)).train
    chunks = cast("Generator[object]", part.chunks(torch.arange(len(part)), 4))
    next(chunks)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", lambda *_: pytest.fail("a thread was joined"))
        chunks.close()
    assert_no_readers_stay()


def test_statistics_are_those_of_all_pixels(folder: DataSpec, tmp_path: Path) -> None:
    held = load(folder).train
    assert isinstance(held, ImageSet)
    pixels = held.images.double() / 255
    data = load(another_cache(folder, tmp_path / "own", DECODED_ANEW))
    assert data.mean == pytest.approx([float(m) for m in pixels.mean((0, 2, 3))], rel=1e-12)
    assert data.std == pytest.approx([float(s) for s in pixels.transpose(0, 1).flatten(1).std(1, correction=0)])
    assert mean_and_std(np.array([[[4, 10]]]), (1, 1, 2)) == ((2 / 255,), (1 / 255,))


def test_a_few_images_are_taken_in_their_order(folder: DataSpec) -> None:
    held, streamed = load(folder).validation, load(replace(folder, streaming="always")).validation
    rows = np.array([3, 0, 0, 5])
    assert torch.equal(held.take(rows).images, streamed.take(rows).images)
    assert torch.equal(held.take(rows).labels, streamed.take(rows).labels)


def test_a_streamed_set_can_be_written_as_tensors(folder: DataSpec, tmp_path: Path) -> None:
    write_tensors(load(replace(folder, streaming="always")), tmp_path / "kept")
    back = DataSpec(name="back", source="tensors", path=str(tmp_path / "kept"), flip=True, crop_padding=2)
    for how in (HELD, READ):
        assert_same(batches(load(replace(back, **how)), folder, [1]), batches(load(folder), folder, [1]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_streamed_batches_are_those_of_a_set_that_lives_there(folder: DataSpec) -> None:
    held = train_loader(load(folder), usual_augmentation(folder), 7, seed=5, device="cuda")
    streamed = train_loader(
        load(replace(folder, streaming="always")), usual_augmentation(folder), 7, seed=5, device="cuda"
    )
    for loader in (held, streamed):
        loader.set_epoch(1)
    assert next(iter(streamed))[0].is_cuda
    torch.cuda.set_sync_debug_mode("error")
    try:
        batches = list(streamed)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert_same(list(held), batches)


@dataclass(frozen=True)
class OnCpu:
    """Copy that is there already."""

    tensor: Tensor

    def received(self) -> Tensor:
        return self.tensor


class Copies:
    """Stream of copies that stay on the CPU."""

    def copy(self, source: Callable[[], Tensor]) -> OnCpu:
        return OnCpu(source().clone())


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_are_copied_once_they_are_read_by_the_threads_that_read_them(threads: int) -> None:
    part = StreamedSet(Watched((40, 1, 4, 4)), np.arange(40), torch.arange(40), threads=threads)
    with ThreadPoolExecutor(threads) as pool:
        rows = [np.arange(first, first + 10) for first in range(0, 40, 10)]
        chunks = [part._begin(pool, some).copied(pool, cast(CopyStream, Copies())) for some in rows]
        for some, chunk in zip(rows, chunks, strict=True):
            assert chunk.result()[:, 0, 0, 0].tolist() == some.tolist()


def test_an_image_that_cannot_be_read_is_told_where_its_copy_is_asked_for() -> None:
    class Gone(Watched):
        def read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
            raise DataError(f"no image {rows[0]}")

    part = StreamedSet(Gone((40, 1, 4, 4)), np.arange(40), torch.arange(40))
    with ThreadPoolExecutor(1) as pool:
        chunk = part._begin(pool, np.arange(3, 9)).copied(pool, cast(CopyStream, Copies()))
        with pytest.raises(DataError, match="no image 3"):
            chunk.result()


# --- memory


@dataclass(frozen=True, eq=False)
class Watched:
    """Store that records requested rows and the number of live buffers."""

    shape: tuple[int, int, int, int]
    asked: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=lambda: [0, 0])  # now, at most
    lock: Any = field(default_factory=threading.Lock)

    def read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        with self.lock:
            self.asked.extend(rows.tolist())
        out[:] = rows[:, None, None, None] % 256

    def buffer(self, *size: Any, **options: Any) -> Tensor:
        made = EMPTY(*size, **options)
        with self.lock:
            self.alive[0] += 1
            self.alive[1] = max(self.alive)
        weakref.finalize(made, self.gone)
        return made

    def gone(self) -> None:
        with self.lock:
            self.alive[0] -= 1


EMPTY = torch.empty


def test_no_more_than_a_few_chunks_live_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Watched((200, 1, 64, 64))
    part = StreamedSet(store, np.arange(200), torch.arange(200), threads=3)
    data = ImageData(part, part, ("a", "b"), (0.5,), (0.25,), "f", part.shape)
    monkeypatch.setattr("nas.data.dataset.torch.empty", store.buffer)
    monkeypatch.setattr("nas.data.loader.CHUNK", 10)
    for number, (images, labels) in enumerate(train_loader(data, usual_augmentation(DataSpec()), 10, seed=0)):
        assert images.shape == (10, 1, 64, 64)
        assert ((images[:, 0, 0, 0] * 0.25 + 0.5) * 255).round().tolist() == (labels % 256).tolist()
        assert len(store.asked) <= 10 * (number + 1 + AHEAD)
    assert len(store.asked) == len(set(store.asked)) == 200
    assert store.alive == [0, store.alive[1]]
    assert AHEAD < store.alive[1] <= AHEAD + 2


MEASURED = """
import sys, torch
from nas.data import DataSpec, load, train_loader, usual_augmentation
torch.set_num_threads(1)
spec = DataSpec(name="t", source="tensors", path=sys.argv[1], streaming=sys.argv[2], decode_workers=2, flip=True)
def kib(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0])
augment = usual_augmentation(spec)
for warm in train_loader(load(DataSpec(name="t", source="tensors", path=sys.argv[3])), augment, 16, seed=0):
    pass
before = kib("VmRSS")
loader = train_loader(load(spec), augment, 16, seed=0)
for epoch in range(2):
    loader.set_epoch(epoch)
    for batch in loader:
        pass
print(kib("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory where Linux tells it")
def test_resident_memory_is_bounded_by_batches_not_by_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # a chunk as large as it really is
    shape = (2400, 3, 128, 128)  # 112 MiB
    random = np.random.default_rng(0)
    for name, count in (("set", shape[0]), ("small", 64)):
        pixels = torch.from_numpy(random.integers(0, 256, (count, *shape[1:]), dtype=np.uint8))
        part = ImageSet(pixels, torch.arange(count) % 2)
        data = ImageData(part, part.take(np.arange(10)), ("a", "b"), (0.5,) * 3, (0.25,) * 3, "f", part.shape)
        write_tensors(data, tmp_path / name)

    def grown(streaming: str) -> float:
        words = [sys.executable, "-c", MEASURED, str(tmp_path / "set"), streaming, str(tmp_path / "small")]
        shown = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
        return int(shown.stdout) / 1024

    held, streamed = grown("never"), grown("always")
    assert held > 112
    # docs/own_data.md: 60 bytes an entry of what is prepared at once (32 images here), 100 an image, and small change.
    assert streamed < 60 * chunk_size(shape[1:], 16) * 3 * 128 * 128 / 2**20 + 100 * shape[0] / 2**20 + 16


# --- errors


def damage(file: Path) -> None:
    """Cut a picture short, and leave size and time as a failing disk would."""
    whole, stat = file.read_bytes(), file.stat()
    file.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def repaint(file: Path) -> None:
    Image.new("RGB", (40, 40), (9, 8, 7)).save(file)


def shrink(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage, "003.jpg is not what it was|003.jpg is corrupt"),
        (repaint, "images must not change while they are searched on, .*cat/003.jpg is not what it was"),
        (shrink, "every image must decode, .*cat/003.jpg is corrupt"),
        (Path.unlink, "every image must be a readable file, .*cat/003.jpg is gone"),
    ],
)
def test_a_picture_that_changes_in_mid_epoch_is_named(
    harm: Callable[[Path], None], message: str, folder: DataSpec, photos: Path
) -> None:
    spec = replace(folder, val_fraction=0.1, test_fraction=0.0, **DECODED_ANEW)
    loader = train_loader(load(spec), usual_augmentation(spec), 2, seed=0)
    assert len(list(loader)) > 20
    harm(photos / "cat" / "003.jpg")
    with pytest.raises(DataError, match=message):
        list(loader)
    assert_no_readers_stay()


def test_a_cached_file_cut_short_in_mid_epoch_is_named_and_ends_nothing_else(folder: DataSpec, cache: Path) -> None:
    data = load(replace(folder, streaming="always"))
    (file,) = cache.rglob("train_images.npy")
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(DataError, match=r"train_images.npy can't be read: it has been cut short"):
        list(evaluation_loader(data, 4))
    file.unlink()
    with pytest.raises(DataError, match=r"must stay where they are, .*train_images.npy can't be read"):
        list(evaluation_loader(data, 4))


def test_the_list_of_entries_must_stay_readable(folder: DataSpec, cache: Path) -> None:
    data = load(replace(folder, **DECODED_ANEW))
    (file,) = cache.rglob("train_entries.bin")
    os.truncate(file, 10)
    with pytest.raises(DataError, match=r"must stay whole, .*train_entries.bin can't be read: it has been cut short"):
        list(evaluation_loader(data, 4))
    file.unlink()
    with pytest.raises(DataError, match=r"must stay where it is, .*train_entries.bin can't be read"):
        list(evaluation_loader(data, 4))


# --- the cached copy


def test_images_are_kept_decoded_if_they_fit(folder: DataSpec, cache: Path) -> None:
    size = 50 * 3 * 16 * 16 / 2**30
    listed = describe(replace(folder, cache_gib=size * 0.99))
    assert not listed.decoded
    assert listed.folder.name.endswith("-encoded")
    # Without a limit, the existing copy is opened; a limit that allows it asks for decoded images.
    assert describe(folder).folder == listed.folder
    read = describe(replace(folder, cache_gib=size))
    assert read.decoded
    # Then those are opened, whatever the limit.
    assert describe(replace(folder, cache_gib=0.0)).folder == read.folder == describe(folder).folder
    assert read.fingerprint == listed.fingerprint


def test_half_of_the_free_disk_is_the_limit(folder: DataSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 50 * 3 * 16 * 16
    for name, free, decoded in (("a", 2 * size - 2, False), ("b", 2 * size, True)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("nas.data.cache.shutil.disk_usage", lambda _, usage=usage: usage)
        assert describe(replace(folder, name=name)).decoded is decoded


@pytest.mark.parametrize("name", ["train_entries.bin", "train_ends.npy", "train_moments.npy"])
def test_a_damaged_list_is_made_anew(name: str, folder: DataSpec, cache: Path) -> None:
    spec = replace(folder, **DECODED_ANEW)
    first = batches(load(spec), spec, [0])
    (file,) = cache.rglob(name)
    file.write_bytes(file.read_bytes()[:-8])
    assert_same(batches(load(spec), spec, [0]), first)


def test_colour_that_turns_up_late_is_kept_encoded_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "grey" / name).mkdir(parents=True)
        for number in range(30):
            mode = "RGB" if (name, number) == ("b", 29) else "L"
            Image.new(mode, (8, 8), 9 if mode == "L" else (1, 2, 3)).save(tmp_path / "grey" / name / f"{number:02}.png")
    spec = DataSpec(name="grey", source="image_folder", path=str(tmp_path / "grey"))
    one = batches(load(spec), spec, [0])
    other = batches(load(another_cache(spec, tmp_path / "own", DECODED_ANEW)), spec, [0])
    assert one[0][0].shape[1] == 3
    assert_same(one, other)


# --- the choice


def said(spec: DataSpec, memory: int, caplog: pytest.LogCaptureFixture) -> tuple[DataSpec, str]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "nas.data"):
        settled = resolve_streaming(spec, describe(spec), memory, threads=3)
    (record,) = caplog.records
    return settled, record.getMessage()


def test_a_set_is_streamed_where_it_takes_more_than_a_quarter(caplog: pytest.LogCaptureFixture) -> None:
    size = (1151 + 287) * 8 * 8
    held, line = said(DataSpec(), 4 * size, caplog)
    assert (held.streaming, held.decode_workers) == ("never", 3)
    assert line == (
        "data: 1,438 images of 1 x 8 x 8 are 0.1 MiB decoded; "
        "a training holds up to 0.1 MiB (a quarter of its memory); held"
    )
    streamed, line = said(DataSpec(decode_workers=2), 4 * size - 4, caplog)
    assert (streamed.streaming, streamed.decode_workers) == ("always", 2)
    assert line.endswith(f"; streamed, read from {describe(DataSpec()).folder} by 2 threads a training")


def test_an_explicit_choice_is_kept_and_logged(folder: DataSpec, caplog: pytest.LogCaptureFixture) -> None:
    never, line = said(folder, 1, caplog)
    assert never.streaming == "never"
    assert line.endswith("; held (data.streaming=never)")
    always, line = said(replace(folder, name="again", **DECODED_ANEW), 2**40, caplog)
    assert always.streaming == "always"
    assert "streamed (data.streaming=always), decoded anew in every epoch, as listed in " in line
