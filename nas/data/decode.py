"""From encoded pictures to one uint8 array: colour, alpha, depth and size settled for each picture with Pillow."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nas.data.errors import DataError

Pixels = NDArray[np.uint8]  # (C, H, W)
GREY_MODES = frozenset({"1", "L", "LA", "La"})
AT_ONCE = 256


@dataclass(frozen=True)
class Entry:
    """One encoded picture: the bytes of a file, the path of one, or a decoded image; `where` names it in an error."""

    where: str
    content: bytes | Path | Image.Image


@dataclass(frozen=True)
class Look:
    """What all pictures of a set are made to look like.

    Attributes:
        resolution: side of the square in pixels, None to keep the size that all pictures then share.
        channels: 1 or 3; None for 1 where every picture is grey, else 3.
    """

    resolution: int | None = None
    channels: int | None = None


def decode_all(entries: Iterable[Entry], count: int, look: Look, target: Path) -> tuple[int, int, int]:
    """Decode `count` entries into the .npy file `target`, (count, C, H, W) uint8, and say (C, H, W).

    A few hundred pictures are in memory at a time, so a set may be larger than the memory.

    Args:
        entries: the pictures; gone through twice where colour turns up after grey ones, so not a one-time iterator.
        count: how many there are, at least 1.
        look: the size and channels to bring them to.
        target: file to write.

    Raises:
        DataError: a picture that can't be decoded, or of another size than the first with no resolution set.
    """
    shape = _write(entries, count, look, target) or _write(entries, count, Look(look.resolution, channels=3), target)
    assert shape is not None
    return shape


def _write(entries: Iterable[Entry], count: int, look: Look, target: Path) -> tuple[int, int, int] | None:
    """One pass; None where colour turned up after grey pictures had been written."""
    first: tuple[Entry, tuple[int, ...]] | None = None
    # Written as a stream: a full disk then raises, where a memory map would end the process.
    with target.open("wb") as file:
        for entry, pixels in _decoded(entries, look):
            if first is None:
                first = entry, pixels.shape
                header = {"descr": "|u1", "fortran_order": False, "shape": (count, *pixels.shape)}
                np.lib.format.write_array_header_1_0(file, header)
            if pixels.shape[1:] != first[1][1:]:
                raise DataError(
                    f"images must be of one size unless data.resolution is set, "
                    f"got {_size(first[1])} at {first[0].where} and {_size(pixels.shape)} at {entry.where}"
                )
            if pixels.shape[0] > first[1][0]:
                return None
            file.write(pixels.tobytes())
    assert first is not None
    channels, height, width = first[1]
    return channels, height, width


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}"


def _decoded(entries: Iterable[Entry], look: Look) -> Iterator[tuple[Entry, Pixels]]:
    """Every entry with its pixels, in order; Pillow decodes outside Python's lock, so a thread for each core pays."""
    todo = iter(entries)
    channels = look.channels
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(todo, AT_ONCE)):
            looks = [Look(look.resolution, channels)] * len(batch)
            for entry, pixels in zip(batch, pool.map(decode, batch, looks), strict=True):
                # Once a picture has colour, all after it are RGB.
                channels = channels or (3 if pixels.shape[0] == 3 else None)
                yield entry, pixels if channels in {None, pixels.shape[0]} else np.repeat(pixels, 3, axis=0)


def decode(entry: Entry, look: Look) -> Pixels:
    """One picture as uint8 (C, H, W).

    An EXIF rotation is carried out, transparency is laid over white, 16-bit grey is scaled to 8 bits. With a
    resolution, the middle square is brought to it with Pillow's Lanczos filter, whose support grows with the reduction
    and so keeps fine patterns from aliasing.

    Raises:
        DataError: the picture can't be read, or its pixels have no known scale.
    """
    try:
        with _open(entry.content) as opened:
            image = ImageOps.exif_transpose(opened)
    except FileNotFoundError:
        raise DataError(f"every image must be a readable file, {entry.where} is gone") from None
    except UnidentifiedImageError:
        raise DataError(f"every image must be one that Pillow can read, {entry.where} is not an image") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"every image must decode, {entry.where} is corrupt: {error}") from error
    image = _flatten(image, look.channels, entry.where)
    if look.resolution is not None and image.size != (look.resolution, look.resolution):
        image = ImageOps.fit(image, (look.resolution, look.resolution), Image.Resampling.LANCZOS)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _open(content: bytes | Path | Image.Image) -> Image.Image:
    if isinstance(content, Image.Image):
        return content
    return Image.open(io.BytesIO(content) if isinstance(content, bytes) else content)


def _flatten(image: Image.Image, channels: int | None, where: str) -> Image.Image:
    """The image as 8-bit grey (`L`) or `RGB`, transparency over white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise DataError(f"pixels must be 8 or 16 bits an entry, {where} has 32 (Pillow mode {image.mode})")
    mode = {1: "L", 3: "RGB", None: "L" if image.mode in GREY_MODES else "RGB"}[channels]
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert(mode)
