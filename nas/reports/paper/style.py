"""Style of the figures: a column wide, in small type, in colours that colour-blind readers and grey prints tell apart.

The same study gives the same bytes: no file has a date, and the names within an SVG file follow from a fixed salt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas.jobs.files import atomic_path

DARK, WARM, FAINT = "#0072B2", "#D55E00", "0.78"
"""Blue and vermilion of Okabe and Ito's palette, whose greys differ too, and a light grey."""
CURVES = "cividis"
"""Colour map whose lightness rises evenly, also for colour-blind readers."""
DPI = 300
TYPE = 7.5
"""Size of the type in points, as in a caption."""
STYLE: Any = {
    "font.family": "DejaVu Sans",  # of matplotlib itself: the same on every machine
    "font.size": TYPE,
    "axes.titlesize": TYPE,
    "axes.labelsize": TYPE,
    "xtick.labelsize": TYPE - 1,
    "ytick.labelsize": TYPE - 1,
    "legend.fontsize": TYPE - 1,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "lines.linewidth": 1.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "inception-nas",
    "savefig.dpi": DPI,
    "text.parse_math": False,
}
DATES: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
"""Metadata of each format, without the time."""


def panel(width: float, height: float = 0.72) -> tuple[Figure, Axes]:
    """Return a figure with one plot.

    Args:
        width: width in inches.
        height: height as a share of the width.
    """
    figure = Figure(figsize=(width, height * width), layout="constrained")
    return figure, figure.subplots()


def save(figure: Figure, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write a figure in some formats; return the files.

    Args:
        figure: the figure.
        stem: path of the files without their suffix.
        formats: formats, of `DATES`.
    """
    found = []
    for name in formats:
        path = stem.with_name(f"{stem.name}.{name}")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=name, metadata=DATES[name])
        found.append(path)
    return found


def styled() -> Any:
    """Return the context in which figures are drawn and written."""
    return mpl.rc_context(STYLE)
