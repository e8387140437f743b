"""Metadata of pictures: the orientation is applied, and nothing else decides whether a picture is read."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from nas.data import DataError
from nas.data.decode import Entry, PixelFormat, Pixels, decode
from nas.data.metadata import exif_orientation, without_metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def encoded(form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, form, **options)
    return buffer.getvalue()


def decoded(content: bytes) -> Pixels:
    return decode(Entry("it", content), PixelFormat())


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


def directory(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries))
    return head + b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4)


def with_exif(block: bytes) -> bytes:
    whole = encoded("JPEG")
    body = b"Exif\0\0" + block
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]


def with_chunk(kind: bytes, body: bytes) -> bytes:
    whole = encoded("PNG")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return whole[:33] + chunk + whole[33:]  # after the header


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_that_of_pillow(orientation: int, form: str) -> None:
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}.get(form, {})
    content = encoded(form, exif=exif(orientation), **options)
    with Image.open(io.BytesIO(content)) as opened:
        oracle = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    np.testing.assert_array_equal(decoded(content), oracle.transpose(2, 0, 1))
    if form == "PNG" and orientation == 6:
        np.testing.assert_array_equal(decoded(content), np.rot90(PIXELS, -1).transpose(2, 0, 1))


SIX = (0x112, 3, 1, b"\6\0\0\0")
BROKEN_BLOCKS = {
    "a text in XResolution": directory(SIX, (0x11A, 2, 3, b"72\0\0")),
    "a fraction over zero": directory(SIX, (0x11A, 5, 1, struct.pack("<I", 38))) + bytes(8),
    "a value beyond the end": directory(SIX, (0x11A, 5, 1, struct.pack("<I", 10**9))),
    "an unknown type": directory(SIX, (0x11A, 99, 1, bytes(4))),
    "a huge count": directory(SIX, (0x9286, 7, 2**32 - 1, bytes(4))),
    "a directory within that points at itself": directory(SIX, (0x8769, 4, 1, struct.pack("<I", 8))),
    "a text for the ISO speed": directory(SIX, (0x8827, 2, 4, b"abc\0")),
    "bytes that are no text": directory(SIX, (0x10E, 2, 4, b"\xff\xfe\xfd\0")),
    "a negative position": directory(SIX, (0x8825, 9, 1, struct.pack("<i", -5))),
    "a table that is cut": directory(SIX)[:22],
    "a size beyond the table": directory(SIX)[:8] + b"\xff\xff" + directory(SIX)[10:],
}


@pytest.fixture(params=["ignore", "error"])
def pillows_warnings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ignore Pillow's warnings, or make errors of them."""
    with warnings.catch_warnings():
        warnings.simplefilter(request.param)
        yield


@pytest.mark.usefixtures("pillows_warnings")
@pytest.mark.parametrize("name", BROKEN_BLOCKS)
def test_a_picture_is_turned_whatever_else_its_exif_holds(name: str) -> None:
    turned = decoded(with_exif(BROKEN_BLOCKS[name]))
    plain = decoded(encoded("JPEG"))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1, axes=(1, 2)))


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"no TIFF at all",
        directory((0x112, 2, 2, b"6\0\0\0")),
        directory((0x112, 3, 1, b"\x63\0\0\0")),
        directory((0x112, 5, 1, b"\0\0\0\0")),
        directory((0x112, 3, 4, b"\xff\xff\xff\x7f")),
    ],
)
def test_without_a_readable_orientation_a_picture_is_not_turned(block: bytes) -> None:
    np.testing.assert_array_equal(decoded(with_exif(block)), decoded(encoded("JPEG")))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_no_exif_block_keeps_a_picture_from_being_read(rest: bytes, head: bytes) -> None:
    exif_orientation(head + rest)
    shape = decoded(with_exif(head + rest)).shape
    assert shape in {(3, 4, 6), (3, 6, 4)}


@pytest.mark.usefixtures("pillows_warnings")
@pytest.mark.parametrize(
    "content",
    [
        lambda: with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK + 1))),
        lambda: with_chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(2 * PngImagePlugin.MAX_TEXT_CHUNK))),
        lambda: with_chunk(b"tEXt", b"big\0" + b"x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1)),
        lambda: with_chunk(b"zTXt", b"Comment\0\0 no deflate"),
        lambda: with_chunk(b"iCCP", b"profile\0\0 no deflate"),
        lambda: with_chunk(b"iCCP", b"profile"),
        lambda: with_chunk(b"pHYs", b"\0"),
        lambda: with_chunk(b"gAMA", b""),
        lambda: with_chunk(b"cHRM", b"\0\0\0"),
        lambda: with_chunk(b"eXIf", b"II*\0"),
        lambda: with_chunk(b"tIME", b"never"),
    ],
)
def test_a_png_is_read_whatever_its_other_chunks_hold(content: Callable[[], bytes]) -> None:
    np.testing.assert_array_equal(decoded(content()), PIXELS.transpose(2, 0, 1))


def test_pillows_warnings_are_not_shown() -> None:
    program = (
        "import io, sys\nfrom nas.data.decode import Entry, PixelFormat, decode\n"
        "decode(Entry('it', sys.stdin.buffer.read()), PixelFormat())"
    )
    content = with_exif(BROKEN_BLOCKS["a value beyond the end"])
    ran = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_png_of_many_texts_is_read() -> None:
    texts = PngImagePlugin.PngInfo()
    for number in range(70):
        texts.add_text(f"text{number}", "x" * 2**20, zip=True)
    np.testing.assert_array_equal(decoded(encoded("PNG", pnginfo=texts)), PIXELS.transpose(2, 0, 1))


@pytest.mark.usefixtures("pillows_warnings")
@pytest.mark.parametrize("tag", [(270, 5, 1), (282, 2, 3), (34665, 4, 1), (700, 7, 2**31), (33432, 2, 2**30)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_is_read_whatever_its_other_tags_hold(tag: tuple[int, int, int], order: str) -> None:
    entries = [
        *[(256, 4, 1, 6), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 140)],
        *[(277, 3, 1, 1), (278, 4, 1, 4), (279, 4, 1, 24)],
    ]
    packed = [
        (*entry[:3], struct.pack(order + ("I" if entry[1] == 4 else "HH"), entry[3], *([] if entry[1] == 4 else [0])))
        for entry in entries
    ]
    block = directory(*sorted([*packed, (*tag, struct.pack(order + "I", 10**8))]), order=order)
    grey = PIXELS[:, :, 0]
    np.testing.assert_array_equal(decoded(block.ljust(140, b"\0") + grey.tobytes())[0], grey)


def test_an_avif_is_read_whatever_its_exif_holds() -> None:
    made = Image.Exif()
    made[0x0112], made[0x010F] = 6, "a maker"
    content = encoded("AVIF", exif=made.tobytes(), quality=100)
    broken = content.replace(b"MM\0*", b"MM??").replace(b"II*\0", b"II??")
    assert broken != content
    np.testing.assert_array_equal(decoded(broken), decoded(content))  # a field of AVIF itself turns it


def test_a_webp_is_read_whatever_its_exif_holds() -> None:
    content = encoded("WEBP", exif=b"Exif\0\0" + directory((0x11A, 2, 3, b"72\0\0")), lossless=True)
    np.testing.assert_array_equal(decoded(content), PIXELS.transpose(2, 0, 1))


def test_the_pixels_stay_when_the_metadata_go() -> None:
    for form in ("PNG", "JPEG"):
        content = encoded(form, exif=exif(3), icc_profile=b"profile " * 99)
        bare = without_metadata(content)
        assert bare is not None
        assert bare[1] == 3
        assert len(bare[0]) < len(content)
        with Image.open(io.BytesIO(bare[0])) as one, Image.open(io.BytesIO(content)) as other:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def outcome(content: bytes, resolution: int | None = None) -> str:
    """Return the shape that a picture decodes to, or the message of its refusal."""
    try:
        return str(decode(Entry("it", content), PixelFormat(resolution=resolution)).shape)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "AVIF", "PPM", "TGA", "JPEG2000"])
def test_a_cut_picture_is_named_in_one_line(form: str) -> None:
    content = encoded(form)
    for end in range(0, len(content), max(1, len(content) // 24)):
        said = outcome(content[:end])
        assert said == "(3, 4, 6)" or (" it " in said and "\n" not in said)  # all pixels may come before the end


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"]), st.data())
def test_no_damaged_picture_ends_in_another_error(form: str, data: st.DataObject) -> None:
    content = bytearray(encoded(form))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    said = outcome(bytes(content), resolution=4)
    assert said in {"(1, 4, 4)", "(3, 4, 4)"} or (" it " in said and "\n" not in said)


def test_a_bomb_is_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match=r"at most 20 pixels, Pillow's limit .*, it has more: make it smaller"):
        decoded(encoded("PNG"))


def test_a_file_that_may_not_be_read_is_told_from_a_corrupt_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.png").write_bytes(encoded("PNG"))

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(DataError, match=r"x.png may not be read \(permission denied\)"):
        decode(Entry("x.png", tmp_path / "x.png"), PixelFormat())


def test_a_program_is_never_started_for_a_picture(tmp_path: Path) -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n%%EOF\n"
    with pytest.raises(DataError, match="it is not an image"):
        decoded(postscript)


def test_sixteen_bits_of_a_pgm_are_scaled_like_others() -> None:
    content = b"P5 3 1 65535\n" + struct.pack(">3H", 0, 256, 65535)
    assert decoded(content).tolist() == [[[0, 1, 255]]]


def test_thirty_two_bits_of_narrow_range_are_taken_as_eight() -> None:
    def tiff(values: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.array([values], dtype=np.int32)).save(buffer, "TIFF")
        return buffer.getvalue()

    assert decoded(tiff([0, 7, 255])).tolist() == [[[0, 7, 255]]]
    for values, found in (([0, 256], "0 to 256"), ([-1, 9], "-1 to 9")):
        with pytest.raises(DataError, match=rf"it has 32 \(Pillow mode I\), of {found}: save it with 8 bits"):
            decoded(tiff(values))


def test_colors_that_pillow_does_not_convert_are_named() -> None:
    buffer = io.BytesIO()
    Image.new("LAB", (4, 4)).save(buffer, "TIFF")
    assert decoded(buffer.getvalue()).shape == (3, 4, 4)
    with pytest.raises(DataError, match="it is of mode LAB: save it as RGB"):
        decode(Entry("it", buffer.getvalue()), PixelFormat(channels=1))
