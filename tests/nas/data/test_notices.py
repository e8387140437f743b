"""Lines that say what was read of an image set, and what of it can't be learnt from."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data import DataError, DataSpec, announce, describe, from_tensors, write_tensors


def spec_of(root: Path, **more: Any) -> DataSpec:
    return DataSpec(name="mine", source="image_folder", path=str(root), **more)


def painted(root: Path, images: dict[str, list[Any]]) -> Path:
    for name, pixels in images.items():
        (root / name).mkdir(parents=True)
        for number, image in enumerate(pixels):
            Image.fromarray(np.asarray(image)).save(root / name / f"{number}.png")
    return root


def noise(seed: int, high: int = 256, dtype: Any = np.uint8) -> Any:
    return np.random.default_rng(seed).integers(0, high, (8, 8), dtype=dtype)


def test_classes_with_counts_and_the_range_of_values_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = painted(tmp_path / "i", {"dog": [noise(i, 200) for i in range(10)], "cat": [noise(99, 201)] * 0 + []})
    for number in range(6):
        Image.fromarray(noise(50 + number, 200)).save(root / "cat" / f"{number}.png")
    with caplog.at_level(logging.INFO, "nas"):
        announce(describe(spec_of(root)))
    assert caplog.messages == [
        "data: 13 images (10 to train, 3 to validate) and 3 to test, 8x8 grey, values 0 to 199",
        "data: 2 classes: cat 6, dog 10",
    ]


def test_of_many_classes_the_first_ten_are_listed(paint: Any) -> None:
    info = describe(spec_of(paint({f"c{i:02}": 3 for i in range(100)})))
    line = list(info.lines())[1]
    assert line.startswith("100 classes: c00 3, c01 3, ")
    assert line.endswith("c09 3 and 90 more")


def test_a_command_that_does_not_train_logs_only_what_is_odd(paint: Any, caplog: pytest.LogCaptureFixture) -> None:
    root = paint({"a": 5, "b": 5})
    with caplog.at_level(logging.INFO, "nas"):
        announce(describe(spec_of(root)), counts=False)
        assert caplog.messages == []
        (root / "a" / "notes.txt").touch()
        announce(describe(spec_of(root)), counts=False)
    assert caplog.messages == ["data: left out: 1 file that is no picture (.txt 1)"]


def test_constant_images_are_refused(tmp_path: Path) -> None:
    root = painted(tmp_path / "i", {name: [np.full((8, 8), 7, np.uint8)] * 5 for name in "ab"})
    with pytest.raises(DataError, match=r"must differ to be learnt from, every pixel of the training part is 7$"):
        describe(spec_of(root))


@pytest.mark.parametrize("dtype", [np.uint16])
def test_sixteen_bits_of_the_range_of_eight_are_refused_with_the_way_out(dtype: Any, tmp_path: Path) -> None:
    images = {name: [noise(ord(name) + i, 200, dtype) for i in range(5)] for name in "ab"}
    root = painted(tmp_path / "i", images)
    with pytest.raises(
        DataError,
        match=r"training part is 0: .*a/0.png has 16 bits with values of [0-3] to 19\d, .* save the images with 8 bits",
    ):
        describe(spec_of(root))


def test_twelve_bits_in_sixteen_are_told(tmp_path: Path) -> None:
    images = {name: [noise(ord(name) + i, 1024, np.uint16) for i in range(5)] for name in "ab"}
    info = describe(spec_of(painted(tmp_path / "i", images)))
    assert info.values == (0, 3)
    (line,) = [line for line in info.notices.warnings if "nearly constant" in line]
    assert "deviate by 1.1 of 255 levels: " in line
    assert "a/0.png has 16 bits" in line


def test_usual_images_have_no_warning(paint: Any) -> None:
    assert describe(spec_of(paint({"a": 10, "b": 10}))).notices.warnings == ()
    assert describe(DataSpec()).notices.warnings == ()


def test_copies_across_the_split_are_counted_with_a_pair(tmp_path: Path) -> None:
    root = painted(tmp_path / "i", {name: [noise(ord(name) * 100 + i) for i in range(20)] for name in "ab"})
    for number in range(20):
        shutil.copy(root / "a" / f"{number}.png", root / "a" / f"{number} (copy).png")
    info = describe(spec_of(root, test_fraction=0, val_fraction=0.5))
    (line,) = info.notices.warnings
    count = int(line.split(" of ")[0])
    assert 4 < count <= 20  # about half of the pairs are split
    assert f"{count} of 30 validation images equal training images, such as a/" in line
    numbers = {
        name.split(" (")[0].removesuffix(".png") for name in line.split("such as a/")[1].split(":")[0].split(" and a/")
    }
    assert len(numbers) == 1


def test_copies_in_a_test_part_of_its_own_are_counted(paint: Any) -> None:
    root = paint({"train/a": 10, "train/b": 10, "test/a": 0, "test/b": 2})
    for number in range(3):
        shutil.copy(root / "train" / "a" / f"00{number}.png", root / "test" / "a" / f"x{number}.png")
    lines = describe(spec_of(root)).notices.warnings
    counted = [int(line.split(" of ")[0]) for line in lines if " of 5 test images equal " in line]
    assert sum(counted) == 3
    assert any("such as a/x" in line and "and a/00" in line for line in lines)


def test_an_image_of_two_classes_is_told(paint: Any) -> None:
    root = paint({"a": 10, "b": 10})
    shutil.copy(root / "a" / "003.png", root / "b" / "same.png")
    (line,) = [line for line in describe(spec_of(root)).notices.warnings if "two classes" in line]
    assert line == "1 images are in two classes, such as a/003.png (a) and b/same.png (b)"


def test_copies_of_tensors_are_found_too(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (40, 1, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images[20:] = images[:20]
    data = from_tensors(images, torch.arange(40) % 2, ("a", "b"))
    write_tensors(data, tmp_path / "t")
    info = describe(DataSpec(name="t", source="tensors", path=str(tmp_path / "t")))
    assert info.values == (0, 255)
    assert info.counts == (20, 20)
    assert any("validation images equal training images, such as row" in line for line in info.notices.warnings)


def test_names_that_break_a_line_are_told(paint: Any) -> None:
    info = describe(spec_of(paint({"a\nb": 5, "c ": 5, "d": 5})))
    (line,) = info.notices.warnings
    assert line.endswith(r"can't be printed: 'a\nb', 'c '")
    assert "\n" not in "".join(info.lines())


@pytest.mark.parametrize("classes", [("a", ""), ("a", "  "), ("a", "\udce9")])
def test_names_that_are_no_text_are_refused(classes: tuple[str, ...]) -> None:
    images = torch.zeros((8, 1, 2, 2), dtype=torch.uint8)
    with pytest.raises(DataError, match="names of classes must be text in UTF-8"):
        from_tensors(images, torch.arange(8) % 2, classes)
    with pytest.raises(DataError, match="names of classes must differ, two are 'x'"):
        from_tensors(images, torch.arange(8) % 2, ("x", "x"))
