"""The one error of this room."""

from __future__ import annotations


class DataError(ValueError):
    """Images that can't be had, in one line that a person can act on."""
