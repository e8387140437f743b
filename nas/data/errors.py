"""Error of this room."""

from __future__ import annotations


class DataError(ValueError):
    """Images that can't be read, split or cached; the message says in one line what to change."""
