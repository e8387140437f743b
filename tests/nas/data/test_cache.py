from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nas.data.cache as cache_module
from nas.data import DataError, DataSpec, ImageData, load
from nas.data.cache_key import cache_key

ROOT = Path(__file__).parents[3]


def same(one: ImageData, other: ImageData) -> bool:
    parts = [(one.train, other.train), (one.validation, other.validation)]
    tensors = all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in parts)
    return tensors and (one.classes, one.mean, one.std, one.fingerprint) == (
        other.classes,
        other.mean,
        other.std,
        other.fingerprint,
    )


def test_a_warm_cache_gives_what_the_source_gave_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(DataSpec())

    def gone(spec: DataSpec) -> Any:
        raise AssertionError("the source was read again")

    monkeypatch.setattr("nas.data.cache.open_source", gone)
    assert same(load(DataSpec()), first)
    # Settings of the split alone read the same copy.
    load(DataSpec(split_seed=5, val_fraction=0.4, train_fraction=0.1, flip=True))


def test_a_warm_cache_loads_no_heavy_library(cache: Path) -> None:
    load(DataSpec())
    code = (
        "import sys, nas.data as d; d.load(d.DataSpec()); print({'datasets', 'sklearn', 'kornia'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "set()"


def cut_short(folder: Path) -> None:
    file = folder / "train_images.npy"
    file.write_bytes(file.read_bytes()[:-100])


def lose_a_file(folder: Path) -> None:
    (folder / "train_labels.npy").unlink()


def spoil_the_record(folder: Path) -> None:
    (folder / "meta.json").write_text('{"classes": [')


def misrecord(folder: Path) -> None:
    record = json.loads((folder / "meta.json").read_text())
    record["train"]["shape"][0] += 1
    (folder / "meta.json").write_text(json.dumps(record))


def plant_a_pickle(folder: Path) -> None:
    np.save(folder / "train_labels.npy", np.array([print], dtype=object), allow_pickle=True)


@pytest.mark.few(2)
@pytest.mark.parametrize("damage", [cut_short, lose_a_file, spoil_the_record, misrecord, plant_a_pickle, shutil.rmtree])
def test_a_damaged_copy_is_built_anew(damage: Any, cache: Path) -> None:
    first = load(DataSpec())
    (folder,) = cache.iterdir()
    damage(folder)
    assert same(load(DataSpec()), first)
    assert (folder / "meta.json").exists()


def test_a_build_that_fails_leaves_nothing(paint: Any, cache: Path) -> None:
    root = paint({"a": 5, "b": 5})
    (root / "b" / "004.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="not an image"):
        load(DataSpec(name="mine", source="image_folder", path=str(root)))
    assert list(cache.iterdir()) == []


def test_what_a_killed_build_left_is_swept_up_a_day_later(cache: Path) -> None:
    old, fresh, other = (cache / name for name in ("x-0a1b2c3d.partial", "y-0a1b2c3d.partial", "download.partial"))
    for folder in (old, fresh, other):
        folder.mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (time.time() - 25 * 3600,) * 2)
    load(DataSpec())
    assert not old.exists()
    assert fresh.exists()
    assert other.exists()  # of another program


@pytest.mark.slow
def test_processes_may_build_at_once(cache: Path) -> None:
    code = (
        "import sys, nas.data.readers.digits; from nas.data import DataSpec; from nas.data.cache import cached_source; "
        "print('ready', flush=True); sys.stdin.readline(); train = cached_source(DataSpec()).train; "
        "print(train.fingerprint, train.moments.sum())"
    )
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True, cwd=ROOT) for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    shown = {child.communicate()[0] for child in children}
    train = cache_module.cached_source(DataSpec()).train
    assert shown == {f"{train.fingerprint} {train.moments.sum()}\n"}
    assert len(list(cache.iterdir())) == 1


def test_a_copy_that_came_first_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = cache_module.write_source
    numbers = []

    def overtaken(source: Any, target: Any, folder: Path, limit: int) -> bool:
        decoded = write(source, target, folder, limit)
        monkeypatch.setattr(cache_module, "write_source", write)
        load(DataSpec())  # as another process would
        (theirs,) = {file.parent for file in cache.glob("*/meta.json")} - {folder}
        numbers.append((theirs / "meta.json").stat().st_ino)
        return decoded

    monkeypatch.setattr(cache_module, "write_source", overtaken)
    load(DataSpec())
    (record,) = cache.glob("*/meta.json")
    assert [record.stat().st_ino] == numbers


def test_the_key_follows_what_decides_the_pixels(paint: Any) -> None:
    root = paint({"a": 2, "b": 2})
    spec = DataSpec(name="mine", source="image_folder", path=str(root))
    keys = {cache_key(spec)}
    keys.add(cache_key(DataSpec(name="mine", source="image_folder", path=str(root), resolution=8)))
    keys.add(cache_key(DataSpec(name="mine", source="image_folder", path=str(root), channels=1)))
    Image.new("RGB", (12, 12)).save(root / "a" / "000.png")  # other size
    keys.add(cache_key(spec))
    os.utime(root / "a" / "000.png", ns=(1, 1))  # other time
    keys.add(cache_key(spec))
    (root / "a" / "000.png").rename(root / "b" / "000b.png")  # other name
    keys.add(cache_key(spec))
    assert len(keys) == 6


@pytest.mark.parametrize(
    "change", [{"name": "other/set"}, {"hub_revision": "v2"}, {"hub_config": "c"}, {"test_split": "validation"}]
)
def test_the_key_of_a_hub_set_is_its_name_configuration_revision_and_splits(change: dict[str, str]) -> None:
    base = {"name": "owner/set", "source": "hub"}
    assert cache_key(DataSpec(**base)) != cache_key(DataSpec(**(base | change)))


def test_the_fingerprint_follows_the_content_not_the_place(paint: Any, tmp_path: Path) -> None:
    root = paint({"a": 3, "b": 3})
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    prints = [load(DataSpec(name="n", source="image_folder", path=str(p))).fingerprint for p in (root, moved)]
    (moved / "b").rename(moved / "c")
    prints.append(load(DataSpec(name="n", source="image_folder", path=str(moved))).fingerprint)
    Image.new("RGB", (12, 12)).save(root / "a" / "000.png")
    prints.append(load(DataSpec(name="n", source="image_folder", path=str(root))).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_a_cache_that_can_not_be_written_says_how_to_move_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        DataError, match=r"the image cache must be writable, .*file/cache is not \(Not a directory\)"
    ) as caught:
        load(DataSpec(cache=str(tmp_path / "file" / "cache")))
    assert "set data.cache=FOLDER or the environment variable NAS_CACHE_DIR" in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_an_error_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", **k: real(Path("/dev/full") if mode == "wb" else self, mode, **k)
    )
    with pytest.raises(DataError, match=r"must be writable, .* is not \(No space left on device\)"):
        load(DataSpec())
