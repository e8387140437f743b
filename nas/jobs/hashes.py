"""SHA-256 of content, and the seeds that are derived from a text by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_hash(parts: Iterable[str | bytes | memoryview]) -> str:
    """Return the SHA-256 of the joined parts in hexadecimal; text counts as UTF-8."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def derived_seed(text: str, bits: int) -> int:
    """Return a seed that follows from a text: the first bits of its SHA-256.

    Args:
        text: names all that the seed depends on.
        bits: from 1 to 256; the seed is below 2**bits.

    >>> derived_seed("train:0:1", 31)
    1987226615
    """
    return int(content_hash([text]), 16) >> (256 - bits)
