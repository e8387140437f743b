"""scikit-learn's embedded digits: 1,797 scanned digits of 8x8 pixels with 17 grey levels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from nas.config.data import DataSpec
from nas.data.decode import Entry
from nas.data.readers import Source, SourcePart


@contextmanager
def open_source(spec: DataSpec) -> Iterator[Source]:
    """Yield the digits as one training part of ten classes; levels 0..16 are scaled to 0..255 and rounded."""
    assert spec.source == "digits"
    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # (N, 8, 8)
    entries = [Entry(f"row {row} of the digits", _png(image)) for row, image in enumerate(pixels)]
    classes = tuple(str(name) for name in bunch.target_names)
    yield Source(classes, SourcePart(bunch.target.astype(np.int64), entries, "the digits"), test=None)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
