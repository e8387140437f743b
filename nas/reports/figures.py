"""Figure of a study's front as a PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.jobs.files import atomic_path
from nas.objectives.pareto import Axis
from nas.reports.measures import axis_title, cost_axis
from nas.study.belief import Believer
from nas.study.trial import Record


def draw_front(records: Sequence[Record], believer: Believer, title: str, path: Path) -> None:
    """Draw the front as a PNG file: the first objective on the y axis, the first cost on the x axis.

    Args:
        records: the trials of a study.
        believer: its believer, which chooses the front; without a cost among the objectives, x is the trial's number.
        title: the figure's title.
        path: the file.
    """
    axes = believer.axes
    vertical = axes[0]
    horizontal = cost_axis(axes)
    members = believer.front(records)
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.subplots()
    others = [r for r in records if r.values and r not in members]
    plot.scatter(*_points(others, vertical, horizontal), label=f"dominated ({len(others)})", color="0.65", s=18)
    plot.scatter(*_points(members, vertical, horizontal), label=f"front ({len(members)})", color="C0", s=36, zorder=3)
    if horizontal:
        plot.step(*_points(members, vertical, horizontal), where="post", color="C0", linewidth=1)
        plot.set_xscale("log" if horizontal.log and members else "linear")
    plot.set_xlabel(axis_title(horizontal) if horizontal else "trial")
    plot.set_ylabel(axis_title(vertical))
    plot.set_title(title, parse_math=False)
    plot.grid(alpha=0.3, which="both")
    plot.legend(loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def _points(records: Sequence[Record], vertical: Axis, horizontal: Axis | None) -> tuple[list[float], list[float]]:
    pairs = [
        (r.values[horizontal.name] if horizontal else r.number, r.values[vertical.name]) for r in records if r.values
    ]
    return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
