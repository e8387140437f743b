"""Folders that are classes, folders that are parts, and folders that may be either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nas.data import DataError, DataSpec, describe
from nas.data.layout import part_of


def spec_of(root: Path, **more: Any) -> DataSpec:
    return DataSpec(name="mine", source="image_folder", path=str(root), **more)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train-images", "eval"),
    ],
)
def test_parts_of_any_usual_name_are_recognised(train: str, test: str, paint: Any) -> None:
    info = describe(spec_of(paint({f"{train}/a": 10, f"{train}/b": 10, f"{test}/a": 3, f"{test}/b": 4})))
    assert (info.classes, info.train, info.validation, info.test) == (("a", "b"), 16, 4, 7)
    assert info.counts == (13, 14)
    assert info.notices.read == ()


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Validation", "dev"])
def test_a_validation_folder_is_left_out_with_a_word(validation: str, paint: Any) -> None:
    root = paint({"train/a": 10, "train/b": 10, f"{validation}/a": 3, f"{validation}/b": 3})
    info = describe(spec_of(root))
    assert (info.classes, info.train + info.validation + info.test, info.test) == (("a", "b"), 20, 4)
    assert info.notices.read == (f"folders beside train ({validation}): data.test_split=NAME tests on one",)
    assert describe(spec_of(root, test_split=validation)).test == 6


def test_a_test_folder_without_classes_has_no_labels(paint: Any) -> None:
    info = describe(spec_of(paint({"train/a": 10, "train/b": 10, "test": 7})))
    assert (info.train, info.validation, info.test) == (12, 4, 4)
    assert info.notices.read[0].startswith("the folder test, which holds no class folders and so no labels")


@pytest.mark.parametrize(
    ("counts", "change", "message"),
    [
        ({"train": 5, "test": 5}, {}, r"test and train in .* look like parts and hold no class folders"),
        ({"Training": 5, "valid": 5, "Testing": 5}, {}, "look like parts and hold no class folders"),
        (
            {"cat": 5, "dog": 5, "test": 5},
            {},
            r"test in .* looks like a part among 2 classes: .*data.train_split=\. if",
        ),
        ({"cat": 5, "dog": 5, "test/cat": 1}, {}, r"besides data.test_split=test to test on the class folders within"),
        ({"cat": 5, "train": 5, "validation": 5}, {}, "train and validation in .* looks like a part among 1 classes"),
        ({"val/a": 5, "test/a": 5}, {}, "one folder must be the training part, .* has test and val: set data.train_s"),
        ({"train/a": 5, "Training/a": 5}, {"train_split": "fit"}, "data.train_split must name a folder .* no 'fit'"),
        ({"Train/a": 5, "training/a": 5}, {}, "one folder must be the training part, .* Train and training"),
        ({"train/a": 5, "train/b": 5, "testing/a": 5, "eval/a": 5}, {}, "one folder must be the test part, .*=cut"),
        ({"train/a": 5, "train/b": 5, "test/c": 5}, {}, "lacks c: remove .* or set data.test_split=cut"),
        (
            {"cat/train": 5, "cat/test": 5, "dog/train": 5},
            {},
            "parts must not lie within classes, cat in .* test and t",
        ),
    ],
)
def test_what_may_be_parts_or_classes_is_asked_about(
    counts: dict[str, int], change: dict[str, Any], message: str, paint: Any
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        describe(spec_of(paint(counts), **change))
    assert "\n" not in str(caught.value)


def test_the_answer_is_taken(paint: Any) -> None:
    root = paint({"cat": 5, "dog": 5, "test": 5})
    assert describe(spec_of(root, train_split=".")).classes == ("cat", "dog", "test")
    for name in ("cat", "dog"):
        (root / "test" / name).mkdir()
        Image.new("RGB", (12, 12)).save(root / "test" / name / "1.png")
    info = describe(spec_of(root, train_split=".", test_split="test"))
    assert (info.classes, info.test) == (("cat", "dog"), 2)


def test_folders_of_parts_may_be_classes(paint: Any) -> None:
    assert describe(spec_of(paint({"train": 5, "test": 5}), train_split=".")).classes == ("test", "train")


def test_a_test_part_can_be_cut_off_instead(paint: Any) -> None:
    root = paint({"train/a": 10, "train/b": 10, "test/c": 4})
    info = describe(spec_of(root, test_split="cut"))
    assert (info.classes, info.train, info.validation, info.test) == (("a", "b"), 12, 4, 4)
    assert info.notices.read == ("folders beside train (test): data.test_split=NAME tests on one",)


@pytest.mark.parametrize("name", ["cat", "train_station", "bus", "testudo", "valve", "2", "trained", "eval-cat"])
def test_classes_are_no_parts(name: str) -> None:
    assert part_of(name) is None


def test_a_folder_that_can_not_be_listed_is_named(paint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = paint({"a": 5, "b": 5})

    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nas.data.picture_files.os.scandir", refuse)
    with pytest.raises(DataError, match=r"every folder of images must be readable, .*images is not: Permission denied"):
        describe(spec_of(root))


def test_a_class_whose_name_is_no_text_is_told_at_the_start(paint: Any) -> None:
    root = paint({"a": 5, "caf\udce9": 5})
    with pytest.raises(DataError, match=r"names of classes must be text in UTF-8, got 'caf\\udce9': rename"):
        describe(spec_of(root))
