from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from nas.data import DataError
from nas.data.decode import Entry, PixelFormat, Pixels, decode, decode_all
from nas.data.statistics import Shape


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def one(image: Image.Image, look: PixelFormat | None = None) -> Pixels:
    return decode(Entry("it", png(image)), look or PixelFormat())


class Collected:
    def begin(self, shape: Shape) -> None:
        self.shape = shape
        self.blocks: list[Pixels] = []
        self.names: list[str] = []

    def add(self, entries: Sequence[Entry], images: Pixels) -> None:
        self.blocks.append(images)
        self.names += [entry.where for entry in entries]


def all_of(images: list[Image.Image], look: PixelFormat) -> Pixels:
    sink = Collected()
    decode_all([Entry(f"image {i}", png(im)) for i, im in enumerate(images)], look, sink)
    array = np.concatenate(sink.blocks)
    assert array.shape == (len(images), *sink.shape)
    assert array.dtype == np.uint8
    assert sink.names == [f"image {i}" for i in range(len(images))]
    return array


def test_rgb_comes_out_as_it_went_in() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(one(Image.fromarray(pixels)), pixels.transpose(2, 0, 1))


def test_alpha_is_laid_over_white() -> None:
    half = Image.new("RGBA", (2, 2), (200, 0, 0, 128))
    # 128/255 of the colour and 127/255 of white
    assert one(half)[:, 0, 0].tolist() == pytest.approx([227, 127, 127], abs=1)
    assert one(Image.new("LA", (2, 2), (0, 0))).tolist() == [[[255, 255], [255, 255]]]


def test_a_palette_and_its_transparent_entry_become_rgb() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert one(image)[:, 0].tolist() == [[10, 40], [20, 50], [30, 60]]
    image.info["transparency"] = 0
    assert one(image)[:, 0].tolist() == [[255, 40], [255, 50], [255, 60]]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    levels = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    assert one(Image.fromarray(levels)).tolist() == [[[0, 0, 1, 255]]]


def test_thirty_two_bits_have_no_known_scale() -> None:
    buffer = io.BytesIO()
    Image.new("F", (2, 2)).save(buffer, "TIFF")
    with pytest.raises(DataError, match=r"pixels must be 8 or 16 bits an entry, it has 32 \(Pillow mode F\)"):
        decode(Entry("it", buffer.getvalue()), PixelFormat())


@pytest.mark.parametrize(("resolution", "scale"), [(10, 8), (20, 4), (40, 2), (41, 1), (None, 1)])
def test_a_large_jpeg_is_decoded_at_a_fraction_that_leaves_three_times_the_resolution(
    resolution: int | None, scale: int
) -> None:
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((320, 240), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    pixels = decode(Entry("it", buffer.getvalue()), PixelFormat(resolution=resolution)).astype(int)
    with Image.open(buffer) as opened:
        opened.draft(None, (320 // scale, 240 // scale))
        part = opened.convert("RGB")
    with Image.open(buffer) as opened:
        whole = opened.convert("RGB")
    assert part.width == 320 // scale
    one, other = (image if resolution is None else fitted(image, resolution) for image in (part, whole))
    np.testing.assert_array_equal(pixels, np.asarray(one).transpose(2, 0, 1))
    assert np.abs(pixels - np.asarray(other, dtype=int).transpose(2, 0, 1)).mean() < 1


def fitted(image: Image.Image, resolution: int) -> Image.Image:
    return ImageOps.fit(image, (resolution, resolution), Image.Resampling.LANCZOS)


def test_an_exif_rotation_is_carried_out() -> None:
    image = Image.new("L", (3, 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    assert decode(Entry("it", buffer.getvalue()), PixelFormat()).shape == (1, 3, 2)


@pytest.mark.parametrize(("channels", "mode", "shape"), [(3, "L", (3, 4, 4)), (1, "RGB", (1, 4, 4))])
def test_the_channels_asked_for_are_given(channels: int, mode: str, shape: tuple[int, ...]) -> None:
    assert one(Image.new(mode, (4, 4)), PixelFormat(channels=channels)).shape == shape


def test_a_reduction_does_not_alias() -> None:
    board = Image.fromarray((np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8))
    reduced = one(board, PixelFormat(resolution=8))
    # Taking every fourth pixel would give 0 or 255; the mean of the board is 127.5. The border's filter is cut short.
    assert np.abs(reduced[0, 1:-1, 1:-1].astype(int) - 127).max() <= 1


def test_resizing_is_pillows_lanczos() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    oracle = np.asarray(image.resize((10, 10), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    np.testing.assert_array_equal(one(image, PixelFormat(resolution=10)), oracle)


def test_the_middle_square_is_taken() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 30), dtype=np.uint8)
    np.testing.assert_array_equal(one(Image.fromarray(pixels), PixelFormat(resolution=10))[0], pixels[:, 10:20])


def test_enlarging_keeps_a_constant() -> None:
    assert np.unique(one(Image.new("L", (8, 8), 77), PixelFormat(resolution=16))).tolist() == [77]


def test_grey_images_alone_stay_grey() -> None:
    images = [Image.new("L", (4, 4), 9), Image.new("1", (4, 4), 1), Image.new("LA", (4, 4), (7, 255))]
    assert all_of(images, PixelFormat())[:, :, 0, 0].tolist() == [[9], [255], [7]]


@pytest.mark.parametrize("colour_at", [0, 1, 300, 399])
def test_one_coloured_image_makes_all_rgb(colour_at: int) -> None:
    images = [Image.new("L", (2, 2), i % 256) for i in range(400)]
    images[colour_at] = Image.new("RGB", (2, 2), (1, 2, 3))
    array = all_of(images, PixelFormat())
    assert array.shape == (400, 3, 2, 2)
    assert array[colour_at, :, 0, 0].tolist() == [1, 2, 3]
    other = (colour_at + 7) % 400
    assert array[other, :, 0, 0].tolist() == [other % 256] * 3


def test_mixed_sizes_need_a_resolution() -> None:
    images = [Image.new("L", (4, 4)), Image.new("L", (6, 5))]
    with pytest.raises(DataError, match=r"unless data.resolution is set, got 4x4 at image 0 and 6x5 at image 1"):
        all_of(images, PixelFormat())
    assert all_of(images, PixelFormat(resolution=3)).shape == (2, 1, 3, 3)


def damaged() -> Iterator[tuple[bytes | Path, str]]:
    whole = png(Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)))
    yield whole[: len(whole) // 2], "every image must decode, that one is corrupt"
    yield b"not an image", "that one is not an image"
    yield b"", "that one is not an image"
    yield Path("/no/such/file.png"), "that one is gone"


@pytest.mark.parametrize(("content", "message"), list(damaged()))
def test_a_damaged_image_is_named(content: bytes | Path, message: str) -> None:
    good = Entry("good", png(Image.new("RGB", (32, 32))))
    with pytest.raises(DataError, match=message):
        decode_all([good, Entry("that one", content)], PixelFormat(), Collected())
