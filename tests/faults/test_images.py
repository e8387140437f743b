"""Image sets of every fault, through whole commands: one line that names what is wrong, or the right numbers."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.cli import main

Spoil = Callable[[Path], None]

COMMANDS = {
    "describe": ("format=json", "samples=4"),
    "search": ("study=s", "budget.trials=1", "training.epochs=1", "fidelity=full", "workers.slots=1", "tracking=none"),
    "tabulate": ("training.epochs=1", "workers.slots=1"),
}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of two classes of 10 JPEG files."""
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.jpg")
    return tmp_path / "photos"


def words(command: str, photos: Path) -> list[str]:
    data = ["data=image_folder", f"data.path={photos}", "data.resolution=8", f"outputs={photos.parent / 'out'}"]
    if command == "describe":
        data.pop()
    if command == "tabulate":
        data[-1] = f"output={photos.parent / 'table.parquet'}"
    return [command, *data, *COMMANDS[command]]


def with_exif(content: bytes, block: bytes) -> bytes:
    body = b"Exif\0\0" + block
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]


def text_in_resolution(photos: Path) -> None:
    entries = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x11A, 2, 3, b"72\0\0")
    block = b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    file = photos / "b" / "3.jpg"
    file.write_bytes(with_exif(file.read_bytes(), block))


def junk_among(photos: Path) -> None:
    (photos / "a" / "notes.txt").write_text("x")
    os.mkfifo(photos / "a" / "pipe.jpg")
    (photos / "b" / "gone.jpg").symlink_to("nowhere")
    (photos / "b" / "zero.png").symlink_to("/dev/zero")
    shutil.copytree(photos / "a", photos / "b" / ".ipynb_checkpoints", ignore=shutil.ignore_patterns("pipe*", "*.txt"))


def other_endings(photos: Path) -> None:
    for number, ending in enumerate(("jfif", "jpe", "JPG", "JPEG")):
        (photos / "a" / f"{number}.jpg").rename(photos / "a" / f"{number}.{ending}")
    with Image.open(photos / "a" / "5.jpg") as image:
        image.save(photos / "a" / "5.avif")
    (photos / "a" / "5.jpg").unlink()


def as_parts(photos: Path) -> None:
    for part in ("Training", "Testing"):
        (photos / part).mkdir()
        for name in "ab":
            (photos / part / name).mkdir()
    for name in "ab":
        for number in range(10):
            part = "Testing" if number < 3 else "Training"
            (photos / name / f"{number}.jpg").rename(photos / part / name / f"{number}.jpg")
        (photos / name).rmdir()


READ: dict[str, tuple[Spoil, tuple[str, ...], str]] = {
    "text in XResolution": (text_in_resolution, ("2 classes: a 10, b 10",), "16 images (12 to train, 4 to validate)"),
    "junk": (
        junk_among,
        (
            "left out: 1 file that is no picture (.txt 1)",
            "left out: 1 hidden folder (.ipynb_checkpoints)",
            "left out: 3 entries that are no files (gone.jpg: link to nowhere, pipe.jpg: FIFO, zero.png: device)",
        ),
        "16 images (12 to train, 4 to validate)",
    ),
    "other endings": (other_endings, ("2 classes: a 10, b 10",), "16 images (12 to train, 4 to validate)"),
    "parts": (as_parts, ("2 classes: a 10, b 10",), "14 images (12 to train, 2 to validate) and 6 to test"),
}


@pytest.mark.parametrize("fault", READ)
def test_a_search_reads_what_can_be_read_and_says_what_it_left_out(
    fault: str, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil, lines, numbers = READ[fault]
    spoil(photos)
    assert main(words("search", photos)) == 0
    said = capfd.readouterr().err
    assert f"data: {numbers}" in said
    for line in lines:
        assert f"data: {line}\n" in said
    front = json.loads((photos.parent / "out" / "s" / "front.json").read_text())
    assert len(front["front"]) == 1


def flat_parts(photos: Path) -> None:
    (photos / "a").rename(photos / "train")
    (photos / "b").rename(photos / "test")


def replace(content: bytes) -> Spoil:
    return lambda photos: (photos / "b" / "3.jpg").write_bytes(content) and None


def png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def bomb(side: int) -> bytes:
    """Return a PNG of one pixel whose header claims a square."""
    whole = png(np.zeros((1, 1), np.uint8))
    header = b"IHDR" + struct.pack(">II", side, side) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


def sixteen_bits(photos: Path) -> None:
    for number, file in enumerate(sorted(photos.rglob("*.jpg"))):
        file.unlink()
        rng = np.random.default_rng(number)
        file.with_suffix(".png").write_bytes(png(rng.integers(0, 200, (9, 9), dtype=np.uint16)))


def no_pictures(photos: Path) -> None:
    for file in photos.rglob("*.jpg"):
        file.rename(file.with_suffix(".heic"))


def unwritable_name(photos: Path) -> None:
    (photos / "a").rename(photos / "caf\udce9")


def folder_of_tests(photos: Path) -> None:
    shutil.copytree(photos / "a", photos / "test")


REFUSED: dict[str, tuple[Spoil, str]] = {
    "flat parts": (flat_parts, "test and train in "),
    "a test folder among classes": (folder_of_tests, "looks like a part among 2 classes"),
    "cut": (lambda p: os.truncate(p / "b" / "3.jpg", 300), "b/3.jpg is corrupt: "),
    "empty": (replace(b""), "b/3.jpg is not an image"),
    "text": (replace(b"hello"), "b/3.jpg is not an image"),
    "PostScript": (replace(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"), "is not an image"),
    "a bomb": (replace(bomb(50_000)), "b/3.jpg has more: make it smaller"),
    "floats": (lambda p: Image.fromarray(np.ones((9, 9), np.float32)).save(p / "b" / "3.jpg", "TIFF"), "has 32"),
    "narrow 16 bits": (sixteen_bits, "has 16 bits with values of 0 to 194, of which the higher byte is taken"),
    "no pictures": (no_pictures, "found none in "),
    "a name that is no text": (unwritable_name, r"must be text in UTF-8, got 'caf\udce9'"),
}


@pytest.mark.few(11)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", REFUSED)
def test_what_can_not_be_read_is_named_in_one_line_by_every_command(
    fault: str, command: str, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil, message = REFUSED[fault]
    spoil(photos)
    assert main(words(command, photos)) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.startswith(f"nas {command}: ")
    assert said.count("\n") == 1
    assert not list(photos.parent.glob("out/*"))
