"""Decoding of pictures to uint8 arrays with Pillow: color, transparency, bit depth and size."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nas.data.errors import DataError
from nas.data.metadata import METADATA_ERRORS, TURNS, turn_of, without_metadata
from nas.data.picture_files import no_file
from nas.data.statistics import Shape

Pixels = NDArray[np.uint8]  # (C, H, W)
Size = tuple[int, int]  # width and height
GREY_MODES = frozenset({"1", "L", "LA", "La"})
_FORMATS = """
JPEG PNG WEBP BMP GIF TIFF PPM AVIF JPEG2000 ICO TGA PSD QOI DDS DIB PCX DCX SGI SUN ICNS CUR XBM XPM MSP IPTC FITS
FLI FTEX GBR PCD PIXAR BLP
"""
FORMATS = tuple(_FORMATS.split())
"""Formats that Pillow decodes by itself, the frequent ones first: EPS and WMF would start other programs."""
AHEAD = 4
"""Pictures for each thread that are being decoded or wait to be consumed."""
DRAFT = 3
"""With it, a JPEG of 4000 x 3000 decodes to 224 x 224 in 19 ms instead of 108; pixels differ by at most 2 of 255."""
BLOCK, BLOCK_BYTES = 1024, 4 * 2**20
"""Pictures, and bytes of them, that are passed to a sink at once; at least one picture."""


@dataclass(frozen=True)
class Entry:
    """One picture; `where` names it in an error.

    Attributes:
        where: its name.
        content: content of an image file, or its path.
        pixels: (C, H, W) uint8 that are taken as they are instead.
    """

    where: str
    content: bytes | Path
    pixels: Pixels | None = None


@dataclass(frozen=True)
class PixelFormat:
    """Size and channels that all pictures of a set are converted to.

    Attributes:
        resolution: side of the square in pixels; None keeps the size, which must be the same for all pictures.
        channels: 1 or 3; None is 1 if every picture is grey, and else 3.
    """

    resolution: int | None = None
    channels: int | None = None


class Sink(Protocol):
    """Consumer of decoded pictures, block by block."""

    def begin(self, shape: Shape) -> None:
        """Prepare for pictures of (C, H, W); a second call restarts from the first picture, now in color."""
        ...

    def add(self, entries: Sequence[Entry], images: NDArray[np.uint8]) -> None:
        """Consume the next pictures: encoded, and decoded (n, C, H, W)."""
        ...


def decode_all(entries: Iterable[Entry], target: PixelFormat, sink: Sink) -> None:
    """Decode all entries into `sink`, in their order.

    A few pictures for each thread and a block of `BLOCK_BYTES` are in memory at a time, so a set may be larger than the
    memory.

    Args:
        entries: the pictures; iterated twice if a color picture follows grey ones, so not an iterator.
        target: size and channels to convert to.
        sink: consumer of the pictures.

    Raises:
        DataError: there is no picture, one can't be decoded, or sizes differ and no resolution is set.
    """
    if not _pass(entries, target, sink):
        _pass(entries, PixelFormat(target.resolution, channels=3), sink)


def _pass(entries: Iterable[Entry], target: PixelFormat, sink: Sink) -> bool:
    """Decode in one pass; return False if a color picture followed grey ones that were already consumed."""
    first: tuple[str, Shape] | None = None
    # Closed at once if the pass ends early, so that no thread decodes in vain.
    with closing(_decoded(entries, target)) as decoded:
        for block in _blocks(decoded):
            if first is None:
                first = block[0][0].where, _shape(block[0][1])
                sink.begin(first[1])
            for entry, pixels in block:
                _check_size(first, entry.where, _shape(pixels))
            if any(len(pixels) > first[1][0] for _, pixels in block):
                return False
            sink.add([entry for entry, _ in block], np.stack([pixels for _, pixels in block]))
    if first is None:
        raise DataError("every part of a source must hold images, got a part without any")
    return True


def _blocks(decoded: Iterator[tuple[Entry, Pixels]]) -> Iterator[list[tuple[Entry, Pixels]]]:
    for pair in decoded:
        more = max(0, min(BLOCK, BLOCK_BYTES // pair[1].nbytes) - 1)
        yield [pair, *islice(decoded, more)]


def _shape(pixels: Pixels) -> Shape:
    channels, height, width = pixels.shape
    return channels, height, width


def _check_size(first: tuple[str, Shape], where: str, shape: Shape) -> None:
    if shape[1:] != first[1][1:]:
        raise DataError(
            f"images must be of one size unless data.resolution is set, "
            f"got {_size(first[1])} at {first[0]} and {_size(shape)} at {where}"
        )


def _size(shape: Shape) -> str:
    return f"{shape[2]}x{shape[1]}"


def _decoded(entries: Iterable[Entry], target: PixelFormat) -> Generator[tuple[Entry, Pixels]]:
    """Yield every entry with its pixels, in order; one thread a core, as Pillow decodes outside Python's lock."""
    channels = target.channels
    threads = os.cpu_count() or 1
    begun: deque[tuple[Entry, Future[Pixels]]] = deque()
    todo = iter(entries)
    with reader_pool(threads) as pool:
        while True:
            for entry in islice(todo, AHEAD * threads - len(begun)):
                begun.append((entry, pool.submit(decode, entry, PixelFormat(target.resolution, channels))))
            if not begun:
                return
            entry, future = begun.popleft()
            pixels = future.result()
            # After the first color picture, all are RGB.
            channels = channels or (3 if len(pixels) == 3 else None)
            yield entry, pixels if channels in {None, len(pixels)} else np.repeat(pixels, 3, axis=0)


@contextmanager
def reader_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of reader threads; at the end of the block, also after an error, pending reads are cancelled.

    The threads end by themselves. Waiting for them could deadlock: a pass that was not read to its end may be closed
    by the garbage collector, at a moment when its thread holds the lock of the `threading` module that a join needs.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def decode(entry: Entry, target: PixelFormat) -> Pixels:
    """Decode one picture to uint8 (C, H, W).

    The orientation that EXIF states is applied, transparency is composed over white, 16-bit grey is scaled to 8 bits.
    With a resolution, the central square is resized with Pillow's Lanczos filter, whose support grows with the
    reduction and so avoids aliasing. A much larger JPEG is decoded at a half, a quarter or an eighth of its size, as
    long as that leaves `DRAFT` times the resolution.

    Raises:
        DataError: the picture can't be read, or its pixels have more than 16 bits.
    """
    side = target.resolution
    return _decode(entry, target.channels, None if side is None else (side, side))


def decode_to(entry: Entry, shape: Shape) -> Pixels:
    """Decode one picture to uint8 of a shape (C, H, W), as `decode` does, cropped centrally to its proportions.

    Raises:
        DataError: the picture can't be read, or its pixels have more than 16 bits.
    """
    channels, height, width = shape
    return _decode(entry, channels, (width, height))


def _decode(entry: Entry, channels: int | None, size: Size | None) -> Pixels:
    if entry.pixels is not None:
        return entry.pixels
    image = _flatten(_load(entry, size), channels, entry.where)
    if size is not None and image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _load(entry: Entry, size: Size | None) -> Image.Image:
    """Return the picture upright, of any mode."""
    try:
        return _upright(_open(entry), size, None)
    except DataError:
        raise
    except METADATA_ERRORS as error:
        try:
            content = entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()
            if (bare := without_metadata(content)) is not None:
                return _upright(io.BytesIO(bare[0]), size, bare[1])
        except METADATA_ERRORS:
            pass
        raise _refusal(entry.where, error) from error


def _upright(source: io.BytesIO | Path, size: Size | None, orientation: int | None) -> Image.Image:
    with Image.open(source, formats=FORMATS) as opened:
        if size is not None:
            opened.draft(None, (DRAFT * size[0], DRAFT * size[1]))  # affects JPEG only
        opened.load()
        turn = turn_of(opened) if orientation is None else TURNS.get(orientation)
        image: Image.Image = opened.copy() if turn is None else opened.transpose(turn)
    if image.mode == "I" and opened.format == "PPM":  # scaled to 16 bits by Pillow
        image = Image.fromarray(np.asarray(image).astype(np.uint16))
    return image


def _open(entry: Entry) -> io.BytesIO | Path:
    """Return what Pillow opens; a FIFO would wait for ever, and a device has no end."""
    if isinstance(entry.content, bytes):
        return io.BytesIO(entry.content)
    reason = no_file(entry.content.stat().st_mode)
    if reason is not None:
        raise DataError(f"every image must be a file, {entry.where} is a {reason.removeprefix('link to a ')}")
    return entry.content


def _refusal(where: str, error: BaseException) -> DataError:
    """Return the error of a picture that can't be decoded, in one line."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"every image must be a readable file, {where} is gone")
    if isinstance(error, PermissionError):
        return DataError(f"every image must be a readable file, {where} may not be read (permission denied)")
    if isinstance(error, UnidentifiedImageError):
        return DataError(
            f"every image must be one that Pillow can read, {where} is not an image: remove it or replace it"
        )
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return DataError(
            f"every image must have at most {limit:,} pixels, Pillow's limit against files that unpack to fill the "
            f"memory, {where} has more: make it smaller"
        )
    if isinstance(error, MemoryError):
        return DataError(f"every image must fit in memory, {where} does not: make it smaller")
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return DataError(f"every image must decode, {where} is corrupt: {reason}; remove it or replace it")


def _flatten(image: Image.Image, channels: int | None, where: str) -> Image.Image:
    """Convert an image to 8-bit grey (`L`) or `RGB`, with transparency over white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        image = _narrowed(image, where)
    mode = {1: "L", 3: "RGB", None: "L" if image.mode in GREY_MODES else "RGB"}[channels]
    try:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return image.convert(mode)
    except ValueError as error:
        raise DataError(
            f"pixels must be grey or of colors that Pillow converts to RGB, {where} is of mode {image.mode}: "
            f"save it as RGB"
        ) from error


def _narrowed(image: Image.Image, where: str) -> Image.Image:
    """Return 32-bit grey whose values are those of 8 bits as such."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "I" and low >= 0 and high <= 255:
        return Image.fromarray(values.astype(np.uint8))
    raise DataError(
        f"pixels must be 8 or 16 bits an entry, {where} has 32 (Pillow mode {image.mode}), of {low:g} to {high:g}: "
        f"save it with 8 bits, values 0 to 255"
    )
