"""Readers of every source, through `load`, `load_test` and `describe`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from nas.data import DataError, DataSpec, describe, load, load_test
from nas.data.cache import cache_root
from nas.data.layout import ClassFiles
from nas.data.readers.image_folder import open_source


def noise(seed: int, size: int = 8) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def table(rows: int, *, label: Any = None, first: int = 0, **columns: Any) -> datasets.Dataset:
    """Return rows of 8x8 noise seeded by `first`, `first` + 1 ..., whose labels alternate between the classes."""
    label = label or datasets.ClassLabel(names=["cat", "dog"])
    names = getattr(label, "names", None)
    values = [i % 2 if names or label.dtype == "int64" else "ab"[i % 2] for i in range(rows)]
    images = [{"bytes": png(noise(first + i)), "path": None} for i in range(rows)]
    features = datasets.Features(
        {"img": datasets.Image(), "label": label} | {name: f for name, (f, _) in columns.items()}
    )
    values_of = {"img": images, "label": values} | {name: value for name, (_, value) in columns.items()}
    return datasets.Dataset.from_dict(values_of, features=features)


def parquet(folder: Path, **parts: datasets.Dataset) -> Path:
    folder.mkdir(exist_ok=True)
    for name, part in parts.items():
        part.to_parquet(folder / f"{name}-00000-of-00001.parquet")
    return folder


def spec_of(path: Path, **more: Any) -> DataSpec:
    return DataSpec(**{"name": "t", "source": "parquet", "path": str(path)} | more)


# --- digits


def test_digits_have_their_golden_counts() -> None:
    info = describe(DataSpec())
    assert (info.shape, len(info.classes), info.test_fingerprint) == ((1, 8, 8), 10, None)
    assert (info.train, info.validation, info.test) == (1151, 287, 359)
    data, test = load(DataSpec()), load_test(DataSpec())
    assert torch.bincount(data.validation.labels).tolist() == [28, 29, 28, 29, 29, 29, 29, 29, 28, 29]
    assert torch.bincount(test.labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    assert data.fingerprint == "1f90638927f58b02bf933b34c28bb82ea95d13bf41e216c8017adc6bc2e005a2"


def test_digits_are_scaled_to_the_full_range() -> None:
    data, test = load(DataSpec()), load_test(DataSpec())
    together = torch.cat([data.train.images, data.validation.images, test.images])
    oracle = np.rint(load_digits().images * 255 / 16)
    assert torch.bincount(together.flatten().long()).tolist() == np.bincount(oracle.astype(int).flatten()).tolist()


def test_digits_can_be_enlarged() -> None:
    assert load(DataSpec(resolution=16)).train.images.shape[1:] == (1, 16, 16)


def test_statistics_are_those_of_the_images_trained_on() -> None:
    data = load(DataSpec(train_fraction=0.3))
    pixels = data.train.images.double() / 255
    assert data.mean == pytest.approx([float(pixels.mean())], rel=1e-12)
    assert data.std == pytest.approx([float(pixels.std(correction=0))], rel=1e-12)


# --- Parquet


def test_parquet_gives_every_image_with_its_label(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", train=table(20), test=table(6, first=100))
    spec = spec_of(folder)
    data, test = load(spec), load_test(spec)
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.validation), len(test)) == (16, 4, 6)
    np.testing.assert_array_equal(
        test.images.numpy(), np.stack([noise(100 + i) for i in range(6)]).transpose(0, 3, 1, 2)
    )
    assert test.labels.tolist() == [0, 1, 0, 1, 0, 1]
    originals = {noise(i).transpose(2, 0, 1).tobytes(): i % 2 for i in range(20)}
    for part in (data.train, data.validation):
        assert [originals.pop(image.numpy().tobytes()) for image in part.images] == part.labels.tolist()
    assert not originals


def test_parquet_without_a_test_part_has_one_cut_off(tmp_path: Path) -> None:
    info = describe(spec_of(parquet(tmp_path / "p", train=table(20))))
    assert (info.train, info.validation, info.test, info.test_fingerprint) == (12, 4, 4, None)


def test_a_single_parquet_file_and_one_of_any_name_are_training_parts(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", cats=table(20))
    assert describe(spec_of(folder)).train == 12
    assert describe(spec_of(folder / "cats-00000-of-00001.parquet")).train == 12


def test_splits_can_be_named_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", fit=table(20), validation=table(8), extra=table(4))
    info = describe(spec_of(folder, train_split="fit", test_split="validation"))
    assert (info.train, info.validation, info.test) == (16, 4, 8)
    assert info.notices.read == (
        "1 Parquet file neither of the training nor of the test part (extra-00000-of-00001.parquet)",
    )


@pytest.mark.parametrize(
    ("label", "classes"), [(datasets.Value("int64"), ("0", "1")), (datasets.Value("string"), ("a", "b"))]
)
def test_plain_labels_are_classes_in_ascending_order(label: Any, classes: tuple[str, ...], tmp_path: Path) -> None:
    data = load(spec_of(parquet(tmp_path / "p", train=table(20, label=label), test=table(4, label=label))))
    assert data.classes == classes
    assert torch.bincount(data.train.labels).tolist() == [8, 8]


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_floating_point_labels_that_are_whole_are_taken(kind: str, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    values = [float(i % 2 + 9) for i in range(20)]
    table_of = {"picture": [png(noise(i)) for i in range(20)], "label": pa.array(values, kind), "id": list(range(20))}
    pq.write_table(pa.table(table_of), tmp_path / "p" / "train.parquet")
    data = load(spec_of(tmp_path / "p"))
    assert data.classes == ("9", "10")
    assert torch.bincount(data.train.labels).tolist() == [6, 6]
    assert load(spec_of(tmp_path / "p", label_column="label")).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("odd", "message"), [(0.5, r"row 3 of train in .* has 0.5"), (float("nan"), "row 3 of .* nan")]
)
def test_other_floating_point_labels_are_refused_with_the_value(odd: float, message: str, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    values = [odd if i == 3 else float(i % 2) for i in range(20)]
    pq.write_table(
        pa.table({"picture": [png(noise(i)) for i in range(20)], "label": values}), tmp_path / "p" / "train.parquet"
    )
    with pytest.raises(DataError, match=message):
        load(spec_of(tmp_path / "p"))


def test_a_column_of_measurements_is_no_column_of_labels(tmp_path: Path) -> None:
    measured = (datasets.Value("float64"), [i / 7 for i in range(20)])
    assert load(spec_of(parquet(tmp_path / "p", train=table(20, score=measured)))).classes == ("cat", "dog")


def test_an_unlabelled_test_part_is_told_with_the_way_out(tmp_path: Path) -> None:
    unlabelled = table(6, first=100).to_dict() | {"label": [-1] * 6}
    test = datasets.Dataset.from_dict(unlabelled, features=table(1).features)
    folder = parquet(tmp_path / "p", train=table(20), test=test)
    with pytest.raises(DataError, match=r"row 0 of test in .* has -1; data.test_split=cut leaves test out, and cuts"):
        load(spec_of(folder))
    info = describe(spec_of(folder, test_split="cut"))
    assert (info.train, info.validation, info.test) == (12, 4, 4)
    assert info.notices.read == (
        "1 Parquet file neither of the training nor of the test part (test-00000-of-00001.parquet)",
    )


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("training", "testing"), ("cats_train", "cats-test")])
def test_parts_of_parquet_files_are_recognised_by_any_usual_name(train: str, test: str, tmp_path: Path) -> None:
    info = describe(spec_of(parquet(tmp_path / "p", **{train: table(20), test: table(6)})))
    assert (info.train, info.validation, info.test) == (16, 4, 6)


def test_hidden_parquet_files_are_left_out_with_a_word(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", train=table(20))
    parquet(folder / ".ipynb_checkpoints", train=table(20))
    info = describe(spec_of(folder))
    assert (info.train, info.validation, info.test) == (12, 4, 4)
    assert info.notices.read == ("1 hidden Parquet file (.ipynb_checkpoints/train-00000-of-00001.parquet)",)


def test_splits_of_the_hub_that_are_not_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"train": table(20), "test": table(6), "validation": table(4), "extra": table(1)}
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: tables)
    spec = DataSpec(name="owner/set", source="hub")
    for _ in range(2):  # built, and read from the cache
        assert describe(spec).notices.read == ("2 splits (validation 4, extra 1 rows)",)


def test_two_label_columns_need_a_choice(tmp_path: Path) -> None:
    coarse = (datasets.ClassLabel(names=["animal", "thing"]), [0, 0, 1, 1] * 5)
    folder = parquet(tmp_path / "p", train=table(20, coarse=coarse))
    with pytest.raises(DataError, match=r"found label, coarse among img, label, coarse: set data.label_column"):
        load(spec_of(folder))
    assert load(spec_of(folder, label_column="coarse")).classes == ("animal", "thing")
    with pytest.raises(DataError, match=r"must be a column of labels, got 'img'; candidates: label, coarse"):
        load(spec_of(folder, label_column="img"))


def test_a_corrupt_row_is_named(tmp_path: Path) -> None:
    good = table(20)
    images = list(good.cast_column("img", datasets.Image(decode=False))["img"])
    images[13]["bytes"] = images[13]["bytes"][:60]
    bad = datasets.Dataset.from_dict({"img": images, "label": list(good["label"])}, features=good.features)
    with pytest.raises(DataError, match=r"every image must decode, row 13 of train in .* is corrupt"):
        load(spec_of(parquet(tmp_path / "p", train=bad)))


def test_a_row_without_image_or_label_is_named(tmp_path: Path) -> None:
    good = table(20)
    images = list(good.cast_column("img", datasets.Image(decode=False))["img"])
    labels = list(good["label"])
    no_image = {"img": [*images[:5], None, *images[6:]], "label": labels}
    with pytest.raises(DataError, match=r"must hold an image in column 'img', row 5 of .* holds none"):
        load(spec_of(parquet(tmp_path / "a", train=datasets.Dataset.from_dict(no_image, features=good.features))))
    no_label = {"img": images, "label": [*labels[:7], -1, *labels[8:]]}
    with pytest.raises(DataError, match=r"one of the training part's labels, row 7 of .* has -1"):
        load(spec_of(parquet(tmp_path / "b", train=datasets.Dataset.from_dict(no_label, features=good.features))))


@pytest.mark.parametrize(
    ("files", "change", "message"),
    [
        ({}, {}, r"must hold Parquet files \(\*.parquet\), found none"),
        ({"test": 4}, {}, "must hold the training part, no Parquet file in .* begins with 'train'"),
        ({"train": 4}, {"test_split": "holdout"}, "none begins with 'holdout'"),
        ({"train": 1}, {}, "every class needs at least 3 images .* 'cat' has 1, 'dog' has 0"),
        ({"train": 0}, {}, "Parquet files must be whole and hold rows, .*/train-.* holds none"),
    ],
)
def test_a_folder_that_can_not_serve_says_why(
    files: dict[str, int], change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = parquet(tmp_path / "p", **{name: table(rows) for name, rows in files.items()})
    with pytest.raises(DataError, match=message):
        load(spec_of(folder, **change))


def test_a_broken_parquet_file_is_one_readable_line(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", train=table(4))
    (folder / "train-00000-of-00001.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"Parquet files must be whole and hold rows, .*/train-.* is not: .+") as caught:
        load(spec_of(folder))
    assert "\n" not in str(caught.value)


def test_a_path_is_taken_to_the_letter(tmp_path: Path) -> None:
    folder = parquet(tmp_path / ".p [1] * ? é", train=table(20), test=table(4))
    assert describe(spec_of(folder)).test == 4


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"data.path must exist, got /no/such/folder"):
        load(spec_of(Path("/no/such/folder")))


def test_shards_are_read_one_after_the_other(tmp_path: Path) -> None:
    whole = table(20, first=50)
    folder = parquet(tmp_path / "p", train=whole)
    for first in (0, 7, 14):
        whole.select(range(first, min(first + 7, 20))).to_parquet(tmp_path / "p" / f"part-{first:02}.parquet")
    (folder / "train-00000-of-00001.parquet").rename(tmp_path / "whole.parquet")
    assert load(spec_of(folder)).fingerprint == load(spec_of(tmp_path / "whole.parquet")).fingerprint


def test_a_plain_column_of_bytes_holds_images(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    columns = {"picture": [png(noise(i)) for i in range(20)], "label": [i % 2 for i in range(20)]}
    pq.write_table(pa.table(columns), tmp_path / "p" / "train.parquet")
    data = load(spec_of(tmp_path / "p"))
    assert (
        data.fingerprint
        == load(spec_of(parquet(tmp_path / "q", train=table(20, label=datasets.Value("int64"))))).fingerprint
    )


def test_shards_of_other_columns_are_refused(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", train=table(20))
    table(4, extra=(datasets.Value("int64"), [1, 2, 3, 4])).to_parquet(folder / "train-1.parquet")
    with pytest.raises(DataError, match=r"must have the same columns, train-1.parquet and train-0.* differ in extra"):
        load(spec_of(folder))


def test_a_shard_damaged_within_is_named(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "p", train=table(20))
    file = folder / "train-00000-of-00001.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    with pytest.raises(DataError, match=r"Parquet files must be whole and hold rows, .*/train-0.* is not: .+"):
        load(spec_of(folder))


def test_nothing_is_copied_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    load(spec_of(parquet(tmp_path / "p", train=table(20))))
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "arrow").exists()


# --- the Hub


def test_the_hub_is_read_by_name_and_split(tmp_path: Path) -> None:
    # `datasets` takes a local folder where it takes a name, and reads it the same way.
    folder = parquet(tmp_path / "p", train=table(20), test=table(6))
    info = describe(DataSpec(name=str(folder), source="hub"))
    assert (info.train, info.validation, info.test) == (16, 4, 6)
    with pytest.raises(DataError, match=r"data.test_split must be one of train, test in .*, got 'validation'"):
        describe(DataSpec(name=str(folder), source="hub", test_split="validation"))
    with pytest.raises(DataError, match=r"data.train_split must be one of train, test in .*, got 'fit'"):
        describe(DataSpec(name=str(folder), source="hub", train_split="fit"))


def test_the_hub_without_a_network_is_one_readable_line() -> None:
    with pytest.raises(
        DataError, match=r"must be reachable to load owner/set for the first time: .*OfflineMode"
    ) as caught:
        load(DataSpec(name="owner/set", source="hub"))
    assert "\n" not in str(caught.value)


def test_a_split_without_rows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: {"train": table(0)})
    with pytest.raises(DataError, match=r"must hold images, split 'train' of owner/set on the .* Hub has no rows"):
        load(DataSpec(name="owner/set", source="hub"))


def test_a_name_that_the_hub_can_not_have() -> None:
    with pytest.raises(DataError, match=r"data.name must be an image set on the Hugging Face Hub, a/b/c: "):
        load(DataSpec(name="a/b/c", source="hub"))


# --- image folders


def folder_spec(root: Path, **more: Any) -> DataSpec:
    return DataSpec(**{"name": "mine", "source": "image_folder", "path": str(root)} | more)


def test_folders_are_classes(paint: Any) -> None:
    root = paint({"dog": 10, "cat": 20})
    (root / ".hidden").mkdir()
    (root / "cat" / "notes.txt").write_text("not an image")
    (root / "cat" / ".thumb.png").write_text("hidden")
    info = describe(folder_spec(root))
    assert (info.classes, info.shape) == (("cat", "dog"), (3, 12, 12))
    assert (info.train, info.validation, info.test) == (13 + 6, 3 + 2, 4 + 2)


def test_train_and_test_subfolders_are_parts(paint: Any) -> None:
    root = paint({"train/a": 10, "train/b": 10, "test/b": 4, "val/a": 3})
    info = describe(folder_spec(root))
    assert (info.classes, info.train, info.validation, info.test) == (("a", "b"), 16, 4, 4)
    assert load_test(folder_spec(root)).labels.tolist() == [1] * 4
    assert describe(folder_spec(root, test_split="val")).test == 3


def test_images_in_subfolders_of_a_class_come_folder_by_folder(tmp_path: Path) -> None:
    for name in ("b/z.png", "b-c/a.png", "b/y/x.png", "a.png"):
        (tmp_path / "cat" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cat" / name).write_bytes(b"")
    # By folder and name, where `b-c/` would come before `b/` by its characters.
    assert ClassFiles("cat", tmp_path / "cat").files() == [
        str(tmp_path / "cat" / name) for name in ("a.png", "b/y/x.png", "b/z.png", "b-c/a.png")
    ]


def test_an_image_that_comes_while_a_folder_is_read_is_told(paint: Any) -> None:
    root = paint({"a": 5, "b": 5})
    with open_source(folder_spec(root)) as source:
        (root / "b" / "late.png").write_bytes(png(noise(0)))
        with pytest.raises(DataError, match=r"must not change while they are read, .*/b had 5 files, has 6"):
            list(source.train.entries)


def test_train_may_be_the_name_of_a_class(paint: Any) -> None:
    assert describe(folder_spec(paint({"bus": 5, "train": 5}))).classes == ("bus", "train")


def test_grey_transparent_and_coloured_images_become_rgb(paint: Any) -> None:
    root = paint({"a": 5, "b": 5})
    Image.new("L", (12, 12), 50).save(root / "a" / "grey.png")
    Image.new("RGBA", (12, 12), (0, 0, 0, 0)).save(root / "b" / "clear.png")
    spec = folder_spec(root, test_fraction=0)
    data = load(spec)
    images = torch.cat([data.train.images, data.validation.images])
    assert images.shape[1:] == (3, 12, 12)
    assert (images == 50).flatten(1).all(1).sum() == 1
    assert (images == 255).flatten(1).all(1).sum() == 1


def test_the_test_part_gets_the_channels_that_are_trained_on(paint: Any) -> None:
    root = paint({"train/a": 5, "train/b": 5, "test/a": 0})
    Image.new("L", (12, 12), 9).save(root / "test" / "a" / "1.png")
    assert load_test(folder_spec(root)).images.shape == (1, 3, 12, 12)


def test_a_corrupt_file_is_named(paint: Any) -> None:
    root = paint({"a": 5, "b": 5})
    (root / "b" / "002.png").write_bytes((root / "b" / "002.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"every image must decode, .*b/002.png is corrupt"):
        load(folder_spec(root))
    (root / "b" / "002.png").write_bytes(b"GIF no")
    with pytest.raises(DataError, match=r".*b/002.png is not an image"):
        load(folder_spec(root))


def test_test_images_must_be_of_the_size_trained_on(paint: Any) -> None:
    root = paint({"train/a": 5, "train/b": 5, "test/a": 0})
    Image.new("RGB", (9, 9)).save(root / "test" / "a" / "1.png")
    with pytest.raises(DataError, match="got 12x12 to train on and 9x9 to test on"):
        load(folder_spec(root))
    assert load_test(folder_spec(root, resolution=8)).images.shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("counts", "change", "message"),
    [
        ({".": 0}, {}, "must hold one subfolder a class, found none"),
        ({"a": 0, "b": 0}, {}, r"must hold images that Pillow reads \(\.jpg .*\), found none"),
        ({"a": 5, "b": 0}, {}, "every class needs at least 3 images .* 'b' has 0"),
        ({"a": 5}, {}, "at least 2 classes are needed to learn from, got 1: a"),
        ({"train/a": 5, "train/b": 5, "test/c": 1}, {}, "every class of the test part must be trained on, .* lacks c"),
        ({"train/a": 5, "train/b": 5}, {"test_split": "val"}, "data.test_split must name a folder .* no 'val'"),
    ],
)
def test_a_folder_of_images_that_can_not_serve_says_why(
    counts: dict[str, int], change: dict[str, Any], message: str, paint: Any
) -> None:
    root = paint(counts)
    with pytest.raises(DataError, match=message):
        load(folder_spec(root, **change))


def test_a_file_is_no_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(png(noise(0)))
    with pytest.raises(DataError, match=r"data.path must be a folder with one subfolder a class, got the file"):
        load(folder_spec(tmp_path / "one.png"))


def test_no_test_part_was_asked_for() -> None:
    spec = DataSpec(test_fraction=0)
    assert describe(spec).test == 0
    with pytest.raises(DataError, match=r"digits has no test part of its own, and data.test_fraction is 0"):
        load_test(spec)


def test_the_cache_stands_where_it_is_told(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root(DataSpec(cache=str(tmp_path / "own"))) == tmp_path / "own"
    assert cache_root(DataSpec()) == cache
    monkeypatch.delenv("NAS_CACHE_DIR")
    assert cache_root(DataSpec()).name == "inception-nas"
