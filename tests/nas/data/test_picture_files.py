"""Files that lie among pictures: what is read, and what is left out and counted."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.data import DataError, DataSpec, describe, load
from nas.data.decode import FORMATS, Entry, PixelFormat, decode
from nas.data.picture_files import SUFFIXES, LeftOut, pictures

NO_PICTURES = {".mpg", ".mpeg", ".h5", ".hdf", ".bufr", ".grib", ".eps", ".ps", ".wmf", ".emf", ".im"}
"""Registered endings of videos, of data that Pillow only recognises, and of what it passes to other programs; IM is
given up by Pillow 15."""


ENDINGS = "jfif jpe JPG avif webp tif TIFF bmp ico ppm pgm gif jp2 tga qoi dds pcx sgi apng mpo xbm msp"


def spec_of(root: Path, **more: Any) -> DataSpec:
    return DataSpec(name="mine", source="image_folder", path=str(root), **more)


def test_every_ending_that_pillow_reads_by_itself_is_read() -> None:
    Image.init()
    registered = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN or kind == "MPO"}
    assert registered == SUFFIXES | NO_PICTURES


def test_every_format_is_one_of_pillows() -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    programs = {"EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR"}
    assert not programs & set(FORMATS)


@pytest.mark.parametrize("ending", ENDINGS.split())
def test_pictures_of_every_ending_are_decoded(ending: str, tmp_path: Path) -> None:
    pixels = np.full((16, 16, 3), 200, dtype=np.uint8)
    form = {"mpo": "JPEG", "apng": "PNG", "jfif": "JPEG", "jpe": "JPEG"}.get(ending)
    mode = {"xbm": "1", "msp": "1", "pgm": "L"}.get(ending, "RGB")
    file = tmp_path / f"x.{ending}"
    Image.fromarray(pixels).convert(mode).save(file, form)
    assert list(pictures(tmp_path, LeftOut())) == [str(file)]
    decoded = decode(Entry(str(file), file), PixelFormat(channels=3))
    assert decoded.shape == (3, 16, 16)
    assert np.abs(decoded.mean() - 200) < 6 or mode == "1"


def test_a_picture_without_an_ending_is_recognised_by_its_first_bytes(paint: Any) -> None:
    root = paint({"a": 5, "b": 5})
    for form in ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"):
        Image.new("RGB", (12, 12), (9, 9, 9)).save(root / "a" / f"plain{form}", form)
    (root / "a" / "README").write_text("no picture")
    info = describe(spec_of(root))
    assert info.counts == (12, 5)
    assert info.notices.read == ("1 file that is no picture (without an ending 1)",)


def test_all_that_is_left_out_is_counted_and_named(paint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = paint({"a": 5, "b": 5})
    for name in ("1.txt", "2.TXT", "labels.csv", "movie.mpg", "drawing.eps"):
        (root / "a" / name).write_text("x")
    for name in (".DS_Store", "._000.png", "Thumbs.db", ".hidden.png"):
        (root / "b" / name).write_text("x")
    for folder in ("a/.ipynb_checkpoints", "b/.ipynb_checkpoints", "b/__MACOSX", ".git"):
        (root / folder).mkdir()
        Image.new("RGB", (12, 12)).save(root / folder / "copy.png")
    Image.new("RGB", (12, 12)).save(root / "cover.png")
    info = describe(spec_of(root))
    assert (info.classes, info.counts) == (("a", "b"), (5, 5))
    assert list(info.notices.read) == [
        "1 picture beside the class folders",
        "5 files that are no pictures (.txt 2, .csv 1, .eps 1, .mpg 1)",
        "4 hidden folders (.ipynb_checkpoints 2, .git, __MACOSX)",
        "4 hidden files",
    ]


def test_fifos_sockets_devices_and_links_to_nowhere_are_left_out(
    paint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = paint({"a": 5, "b": 5})
    os.mkfifo(root / "a" / "pipe.png")
    (root / "a" / "link.png").symlink_to("nowhere.png")
    (root / "a" / "zero.jpg").symlink_to("/dev/zero")
    (root / "a" / "loop.png").symlink_to("loop.png")
    (root / "a" / "more").symlink_to(root / "b")
    (root / "a" / "good.png").symlink_to(root / "b" / "000.png")
    monkeypatch.chdir(root / "b")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.png")
        info = describe(spec_of(root))
    assert info.counts == (6, 5)
    assert info.notices.read[0] == (
        "6 entries that are no files (link.png: link to nowhere, loop.png: link to nowhere, more: link to a folder, "
        "pipe.png: FIFO, s.png: socket, zero.jpg: device)"
    )


def test_a_fifo_named_by_a_table_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"every image must be a file, row 3 is a FIFO"):
        decode(Entry("row 3", tmp_path / "pipe.png"), PixelFormat())


def test_a_new_copy_of_a_set_is_read_anew(paint: Any) -> None:
    root = paint({"a": 5, "b": 5})
    before = load(spec_of(root)).fingerprint
    Image.new("RGB", (12, 12)).save(root / "a" / "x.jfif", "JPEG")
    assert load(spec_of(root)).fingerprint != before
