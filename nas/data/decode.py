"""From encoded pictures to uint8 arrays: colour, alpha, depth and size settled for each picture with Pillow."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nas.data.errors import DataError
from nas.data.statistics import Shape

Pixels = NDArray[np.uint8]  # (C, H, W)
GREY_MODES = frozenset({"1", "L", "LA", "La"})
AHEAD = 4
"""Pictures that are being decoded, or wait to be taken, for each thread."""
DRAFT = 3
"""A photograph of 4000 x 3000 comes to 224 x 224 in 19 ms so, in 108 in full, with pixels at most 2 of 255 apart."""
BLOCK, BLOCK_BYTES = 1024, 4 * 2**20
"""Pictures, and bytes of them, that are handed on at once; one picture at least."""


@dataclass(frozen=True)
class Entry:
    """One encoded picture: the bytes of a file, or the path of one; `where` names it in an error."""

    where: str
    content: bytes | Path


@dataclass(frozen=True)
class Look:
    """What all pictures of a set are made to look like.

    Attributes:
        resolution: side of the square in pixels, None to keep the size that all pictures then share.
        channels: 1 or 3; None for 1 where every picture is grey, else 3.
    """

    resolution: int | None = None
    channels: int | None = None


class Sink(Protocol):
    """Takes decoded pictures in, a block after the other."""

    def begin(self, shape: Shape) -> None:
        """Pictures of (C, H, W) will come; called again, for all from the first on, where colour turned up late."""
        ...

    def add(self, entries: Sequence[Entry], images: NDArray[np.uint8]) -> None:
        """Take the next pictures: encoded, and decoded (n, C, H, W)."""
        ...


def decode_all(entries: Iterable[Entry], look: Look, sink: Sink) -> None:
    """Decode all entries into `sink`, in their order.

    A few pictures for each thread and a block of `BLOCK_BYTES` are in memory at a time, so a set may be larger than the
    memory.

    Args:
        entries: the pictures, at least one; gone through twice where colour turns up after grey ones, so not a one-time
            iterator.
        look: the size and channels to bring them to.
        sink: where they go.

    Raises:
        DataError: a picture that can't be decoded, or of another size than the first with no resolution set.
    """
    if not _pass(entries, look, sink):
        _pass(entries, Look(look.resolution, channels=3), sink)


def _pass(entries: Iterable[Entry], look: Look, sink: Sink) -> bool:
    """One pass; False where colour turned up after grey pictures had been taken in."""
    first: tuple[str, Shape] | None = None
    # Closed at once where the pass is given up, so that no thread decodes for nobody.
    with closing(_decoded(entries, look)) as decoded:
        for block in _blocks(decoded):
            if first is None:
                first = block[0][0].where, _shape(block[0][1])
                sink.begin(first[1])
            for entry, pixels in block:
                _check_size(first, entry.where, _shape(pixels))
            if any(len(pixels) > first[1][0] for _, pixels in block):
                return False
            sink.add([entry for entry, _ in block], np.stack([pixels for _, pixels in block]))
    assert first is not None
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


def _decoded(entries: Iterable[Entry], look: Look) -> Generator[tuple[Entry, Pixels]]:
    """Every entry with its pixels, in order; Pillow decodes outside Python's lock, so a thread for each core pays."""
    channels = look.channels
    threads = os.cpu_count() or 1
    begun: deque[tuple[Entry, Future[Pixels]]] = deque()
    todo = iter(entries)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    try:
        while True:
            for entry in islice(todo, AHEAD * threads - len(begun)):
                begun.append((entry, pool.submit(decode, entry, Look(look.resolution, channels))))
            if not begun:
                return
            entry, future = begun.popleft()
            pixels = future.result()
            # Once a picture has colour, all after it are RGB.
            channels = channels or (3 if len(pixels) == 3 else None)
            yield entry, pixels if channels in {None, len(pixels)} else np.repeat(pixels, 3, axis=0)
    finally:
        pool.shutdown(cancel_futures=True)


def decode(entry: Entry, look: Look) -> Pixels:
    """One picture as uint8 (C, H, W).

    An EXIF rotation is carried out, transparency is laid over white, 16-bit grey is scaled to 8 bits. With a
    resolution, the middle square is brought to it with Pillow's Lanczos filter, whose support grows with the reduction
    and so keeps fine patterns from aliasing. A JPEG that is much larger is decoded at a half, a quarter or an eighth
    of its size, as long as that leaves `DRAFT` times the resolution.

    Raises:
        DataError: the picture can't be read, or its pixels have no known scale.
    """
    try:
        with _open(entry.content) as opened:
            if look.resolution is not None:
                opened.draft(None, (DRAFT * look.resolution, DRAFT * look.resolution))  # of a JPEG alone
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


def _open(content: bytes | Path) -> Image.Image:
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
