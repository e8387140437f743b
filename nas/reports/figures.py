"""Pictures of a study for files: the front in the plane of cost and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.jobs.files import atomic_path
from nas.objectives.costs import title_of
from nas.objectives.pareto import Axis
from nas.study.summary import front_records
from nas.study.trial import Record

LABELS = {
    "val_accuracy": "validation accuracy",
    "val_balanced_accuracy": "validation accuracy, mean over classes",
}


def draw_front(records: Sequence[Record], axes: Sequence[Axis], title: str, path: Path) -> None:
    """Draw the front of two or more objectives as a PNG: the first on the upright axis, the first cost along the other.

    Args:
        records: the trials of a study.
        axes: its objectives; one alone is drawn over the trials' numbers.
        title: the picture's title.
        path: where the picture goes.
    """
    upright = axes[0]
    across = next((axis for axis in axes[1:] if axis.direction == "minimize"), None)
    members = front_records(records, axes)
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    plane = figure.subplots()
    others = [r for r in records if r.values and r not in members]
    plane.scatter(*_points(others, upright, across), label=f"dominated ({len(others)})", color="0.65", s=18)
    plane.scatter(*_points(members, upright, across), label=f"front ({len(members)})", color="C0", s=36, zorder=3)
    if across:
        plane.step(*_points(members, upright, across), where="post", color="C0", linewidth=1)
        plane.set_xscale("log" if across.log and members else "linear")
    plane.set_xlabel(_label(across) if across else "trial")
    plane.set_ylabel(_label(upright))
    plane.set_title(title, parse_math=False)
    plane.grid(alpha=0.3, which="both")
    plane.legend(loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def _label(axis: Axis) -> str:
    label = LABELS.get(axis.name) or title_of(axis.name)
    return f"{label} ({axis.unit})" if axis.unit else label


def _points(records: Sequence[Record], upright: Axis, across: Axis | None) -> tuple[list[float], list[float]]:
    pairs = [(r.values[across.name] if across else r.number, r.values[upright.name]) for r in records if r.values]
    return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
