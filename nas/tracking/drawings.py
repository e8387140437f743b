"""Drawings of the networks of rows."""

from __future__ import annotations

from nas.tracking.recorder import Row
from search_space.architecture import Architecture
from search_space.drawing import draw
from search_space.lowering import lower


def drawing(row: Row) -> str | None:
    """Return a network as an SVG document; None for one of a plug-in's block family that is not here.

    Args:
        row: a trial's row, or another document with `architecture` and `summary`.
    """
    try:
        return draw(lower(Architecture.from_json(row["architecture"])), title=row["summary"])
    except ValueError:
        return None
