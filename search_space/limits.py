"""Largest sizes of architectures and spaces: far above any network in use, and small enough to be computed with."""

from __future__ import annotations

MOST_CHANNELS = 65_536
"""Most channels of a layer, and most groups of a convolution."""

MOST_PIXELS = 65_536
"""Largest height, width or number of channels of an image."""

MOST_CLASSES = 1_000_000
"""Most classes."""

WIDEST = 255
"""Largest side and stride of a stem's filters."""

MOST_STAGES = 32
"""Most stages of a network."""

DEEPEST = 64
"""Most blocks of a stage."""

MOST_BRANCHES = 64
"""Most branches, or settings, of a block."""

LONGEST_NAME = 200
"""Most characters of a name or a word."""

MOST_OPTIONS = 1000
"""Most options of a choice."""

MOST_CHOICES = 5000
"""Most choices of a space."""

MOST_CHOSEN = 1_000_000
"""Most choices in all combinations of a space that is enumerated: some seconds."""

LARGEST_JSON = 2**20
"""Most characters of the JSON document of an architecture."""


def shown(value: object) -> str:
    """Return a value as an error shows it, cut if it is long.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"
    """
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | tuple) and len(value) > MOST_OPTIONS:
        return f"a list of {len(value)}"
    text = repr(value[:LONGEST_NAME] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:60] + "…"
