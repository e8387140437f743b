"""Transfer of decoded images to another machine: one download, and the same images, splits and fingerprint."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas.data import DataError, DataSpec, load, load_test
from nas.data.transfer import CacheTransfer


@pytest.fixture
def transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CacheTransfer]:
    """Return a function that caches the digits; with `elsewhere`, this becomes a machine with another cache."""

    def of(*, elsewhere: bool = True, **fields: object) -> CacheTransfer:
        monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "here"))
        made = CacheTransfer.of(DataSpec(**fields))  # type: ignore[arg-type]  # fields of DataSpec
        if elsewhere:
            monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "there"))
        return made

    return of


def far(made: CacheTransfer) -> CacheTransfer:
    """Return the transfer as seen by a machine that does not see the first one's folder."""
    return replace(made, folder=Path("/nowhere/at/all"))


def test_where_the_folder_is_seen_nothing_is_fetched(transfer: Callable[..., CacheTransfer]) -> None:
    made = transfer()
    assert made.local_folder() == made.folder


def test_images_and_splits_are_the_same_there(transfer: Callable[..., CacheTransfer]) -> None:
    made = transfer(flip=True, val_fraction=0.3, split_seed=4, train_fraction=0.5, resolution=6)
    assert far(made).local_folder() is None
    asked: list[tuple[str, int]] = []

    def fetch(name: str, offset: int) -> bytes:
        asked.append((name, offset))
        return made.read(name, offset)

    place = far(made).download(fetch)
    assert far(made).local_folder() == place
    assert {name for name, _ in asked} == set(made.sizes)
    there = made.spec.stored_in(place)
    near, away = load(replace(made.spec, cache=str(made.folder.parent))), load(there)
    for part in ("train", "validation"):
        assert torch.equal(getattr(near, part).images, getattr(away, part).images)
        assert torch.equal(getattr(near, part).labels, getattr(away, part).labels)
    assert (near.mean, near.std, near.fingerprint, near.classes) == (
        away.mean,
        away.std,
        away.fingerprint,
        away.classes,
    )
    test = load_test(replace(made.spec, cache=str(made.folder.parent)))
    assert torch.equal(test.images, load_test(there).images)


def test_many_at_once_fetch_once(transfer: Callable[..., CacheTransfer]) -> None:
    made = transfer()
    asked: list[str] = []

    def fetch(name: str, offset: int) -> bytes:
        asked.append(name)
        return made.read(name, offset)

    threads = [threading.Thread(target=lambda: far(made).download(fetch)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(asked)) == sorted(made.sizes)
    assert len(asked) == 2 * len(made.sizes)  # each file, and the end of it


def test_what_arrives_cut_short_is_not_taken(transfer: Callable[..., CacheTransfer]) -> None:
    made = transfer()
    with pytest.raises(DataError, match="images must arrive as they were sent"):
        far(made).download(lambda name, offset: b"" if offset else made.read(name, offset)[:10])
    assert far(made).local_folder() is None


def test_no_other_file_is_read(transfer: Callable[..., CacheTransfer]) -> None:
    with pytest.raises(DataError, match=r"a file must be one of .*, got '../secret'"):
        transfer().read("../secret", 0)


def test_pictures_that_are_only_listed_are_not_sent(
    paint: Callable[..., Path], transfer: Callable[..., CacheTransfer]
) -> None:
    folder = paint({"a": 4, "b": 4})
    made = transfer(name="mine", source="image_folder", path=str(folder), cache_gib=0.0)
    assert made.local_folder() == made.folder
    with pytest.raises(DataError, match=r"must lie where all machines see them, .* only lists them"):
        far(made).download(made.read)
