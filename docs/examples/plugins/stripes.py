"""Data source: striped pictures, made here; a real one would read files or a database."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from nas.data import Entry, Source, SourcePart
from nas.data.readers import DataSpec


@contextmanager
def open_source(spec: DataSpec, images: int = 120) -> Iterator[Source]:
    """Yield the classes and the training part; without a test part one is cut off."""
    labels = np.arange(images) % 2  # (N,) whole numbers below the number of classes
    pictures = [Entry(f"picture {row}", _png(row, label)) for row, label in enumerate(labels)]
    yield Source(("horizontal", "vertical"), SourcePart(labels.astype(np.int64), pictures, "stripes"), test=None)


def _png(row: int, label: int) -> bytes:
    pixels = np.random.default_rng(row).integers(0, 60, (12, 12), dtype=np.uint8)  # (H, W)
    bright = pixels if label == 0 else pixels.T
    bright[:: 2 + row % 3] += 150
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
