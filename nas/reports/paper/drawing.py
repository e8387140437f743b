"""Files of all figures of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nas.reports.paper.panels import draw_curves, draw_front, draw_importance, draw_progress
from nas.reports.paper.style import save, styled


def draw_figures(document: Mapping[str, Any], folder: Path, formats: Sequence[str], width: float) -> list[Path]:
    """Write the figures of a study into a folder, which is made if it is missing; return the files.

    Args:
        document: the document of the study.
        folder: the folder.
        formats: `png`, `svg` and `pdf`, or some of them.
        width: width of a figure in inches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Callable[[Mapping[str, Any], float], Figure]] = {
        "front": draw_front,
        document["progress"]["measure"]: draw_progress,
        "curves": draw_curves,
    }
    for measure, choices in document["importance"]["measures"].items():
        if choices:
            drawn[f"importance_{measure}"] = partial(_importance, measure)
    with styled():
        return [path for name, draw in drawn.items() for path in save(draw(document, width), folder / name, formats)]


def _importance(measure: str, document: Mapping[str, Any], width: float) -> Figure:
    return draw_importance(document, measure, width)
