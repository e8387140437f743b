"""Metadata of pictures: only the orientation is read, and nothing else in them decides whether a picture is."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator

from PIL import ExifTags, Image

METADATA_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Errors that Pillow raises for pictures that are no pictures, or whose metadata break a rule."""

# Pillow warns of metadata that break a rule without the name of the file. Set once, since threads decode.
warnings.filterwarnings("ignore", module=r"PIL\.")

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = int(ExifTags.Base.Orientation)
PNG, JPEG, TIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", {b"II*\0": "<", b"MM\0*": ">"}
PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
JPEG_METADATA = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
"""Markers of metadata: APP1 to APP13, APP15 and comments. APP14 holds Adobe's transform of the colors."""
TIFF_PIXELS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 339}
    | {347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532, ORIENTATION}
)


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition that sets a loaded picture upright, None if it is, or does not say."""
    try:
        value = image.getexif().get(ORIENTATION)
    except METADATA_ERRORS:
        value = exif_orientation(image.info.get("exif"))
    return TURNS.get(value) if isinstance(value, int) else None


def exif_orientation(block: object) -> int | None:
    """Return the orientation in an EXIF block, None if none can be read; any bytes will do."""
    if not isinstance(block, bytes):
        return None
    block = block.removeprefix(b"Exif\0\0")
    order = TIFF.get(block[:4])
    if order is None:
        return None
    for entry in _directory(block, order):
        tag, kind, count = struct.unpack_from(order + "HHI", entry)
        if (tag, kind, count) == (ORIENTATION, 3, 1):
            return int(struct.unpack_from(order + "H", entry, 8)[0])
    return None


def without_metadata(content: bytes) -> tuple[bytes, int | None] | None:
    """Return an encoded picture without its metadata, and its orientation; None for other formats.

    >>> without_metadata(b"GIF89a...") is None
    True
    """
    if content.startswith(PNG):
        return _bare_png(content)
    if content.startswith(JPEG):
        return _bare_jpeg(content)
    if content[:4] in TIFF:
        return _bare_tiff(content, TIFF[content[:4]]), None  # Pillow turns a TIFF itself
    if content[4:8] == b"ftyp":
        header, mark, pixels = content.partition(b"mdat")
        return header.replace(b"Exif", b"none") + mark + pixels, None
    return None


def _bare_png(content: bytes) -> tuple[bytes, int | None]:
    kept, exif = [PNG], None
    for kind, start, end in _png_chunks(content):
        if kind in PNG_PIXELS:
            kept.append(content[start:end])
        elif kind == b"eXIf":
            exif = content[start + 8 : end - 4]
    return b"".join(kept), exif_orientation(exif)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk."""
    at = len(PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at, at + length + 12
        at += length + 12


def _bare_jpeg(content: bytes) -> tuple[bytes, int | None]:
    kept, exif, at = [JPEG], None, len(JPEG)
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA or 0xD0 <= marker <= 0xD9 or marker == 1:  # the scan, or a marker without a length
            break
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
        if marker == 0xE1 and content[at + 4 : at + 10] == b"Exif\0\0":
            exif = content[at + 4 : end]
        if marker not in JPEG_METADATA:
            kept.append(content[at:end])
        at = end
    kept.append(content[at:])
    return b"".join(kept), exif_orientation(exif)


def _bare_tiff(content: bytes, order: str) -> bytes:
    """Return a TIFF whose first directory has only the tags of the pixels; all offsets stay."""
    kept = [entry for entry in _directory(content, order) if struct.unpack_from(order + "H", entry)[0] in TIFF_PIXELS]
    at = struct.unpack_from(order + "I", content, 4)[0] if len(content) >= 8 else 0
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    return content[:at] + directory + content[at + len(directory) :]


def _directory(block: bytes, order: str) -> Iterator[bytes]:
    """Yield the whole entries, of 12 bytes, of the first directory."""
    if len(block) < 8:
        return
    at = struct.unpack_from(order + "I", block, 4)[0]
    if at + 2 > len(block):
        return
    count = struct.unpack_from(order + "H", block, at)[0]
    for start in range(at + 2, min(at + 2 + 12 * count, len(block) - 11), 12):
        yield block[start : start + 12]
