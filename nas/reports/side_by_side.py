"""Several studies side by side, for the terminal and as a figure, from the document of `nas compare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nas.jobs.files import atomic_path
from nas.objectives.pareto import Axis
from nas.reports.measures import axis_title, cost_axis, heading
from nas.reports.text import duration_text, short_number
from nas.study.side_by_side import Group, mean

Document = Mapping[str, Any]

MOST_MEMBERS, MOST_DIFFERENCES = 10, 8
MARKERS = "osD^vPX*"
STEPS = 200
"""Points of a mean curve."""


def comparison_table(document: Document) -> RenderableType:
    """Return the hypervolumes at equal training, one group a row, and the joint front."""
    objectives = document["objectives"]
    table = Table(title="Hypervolume at equal training", title_justify="left", pad_edge=False, box=None)
    for name in ("studies", "seeds", "trials", "training"):
        table.add_column(name, justify="left" if name == "studies" else "right", no_wrap=name != "studies")
    for point in document["groups"][0]["at_seconds"]:
        table.add_column(f"after {duration_text(point['seconds'])}", justify="right", no_wrap=True)
    for point in document["groups"][0]["at_trials"][-1:]:
        table.add_column(f"after {point['trials']} trials", justify="right", no_wrap=True)
    for group in document["groups"]:
        points = [*group["at_seconds"], *group["at_trials"][-1:]]
        counts = (str(len(group["studies"])), _range_text(group["trials"]), duration_text(sum(group["seconds"])))
        table.add_row(Text(group["name"]), *counts, *map(interval_text, points))
    lines: list[RenderableType] = [table, Text(), _front_table(document, objectives)]
    differing = document["differences"]
    lines += [Text(f"They differ: {clause}") for clause in differing[:MOST_DIFFERENCES]]
    if len(differing) > MOST_DIFFERENCES:
        lines.append(Text(f"and in {len(differing) - MOST_DIFFERENCES} more settings"))
    return Lines(*lines)


def _front_table(document: Document, objectives: Sequence[str]) -> RenderableType:
    joint = [member for member in document["front"] if member["joint"]]
    shares = ", ".join(f"{count} of {name}" for name, count in Counter(member["study"] for member in joint).items())
    title = Text(f"Joint front, best first: {shares or 'none yet'}")
    table = Table(title=title, title_justify="left", pad_edge=False, box=None)
    table.add_column("study")
    for name in ("trial", *map(heading, objectives)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("network", overflow="fold", ratio=1)
    for member in joint[:MOST_MEMBERS]:
        values = [short_number(member["values"][name]) for name in objectives]
        table.add_row(Text(member["study"]), str(member["trial"]), *values, Text(member["summary"]))
    if len(joint) > MOST_MEMBERS:
        table.caption, table.caption_justify = Text(f"… and {len(joint) - MOST_MEMBERS} more"), "left"
    return table


def interval_text(point: Mapping[str, Any]) -> str:
    """Return a mean with its interval.

    >>> interval_text({"mean": 0.5, "low": 0.25, "high": 0.75, "n": 3}), interval_text({"mean": 0.5, "low": None})
    ('0.500 [0.250, 0.750]', '0.500')
    """
    if point["low"] is None:
        return f"{point['mean']:.3f}"
    return f"{point['mean']:.3f} [{point['low']:.3f}, {point['high']:.3f}]"


def _range_text(values: Sequence[int]) -> str:
    return str(values[0]) if min(values) == max(values) else f"{min(values)}–{max(values)}"


def draw_comparison(groups: Sequence[Group], axes: Sequence[Axis], path: Path) -> None:
    """Draw the fronts in one picture, and the hypervolume over the training seconds beside it.

    Args:
        groups: the studies.
        axes: their objectives.
        path: the file, whose name ends in .png, .svg or .pdf.
    """
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    fronts, courses = figure.subplots(1, 2)
    for place, group in enumerate(groups):
        _draw_fronts(fronts, group, axes, place)
        _draw_course(courses, group, place)
    horizontal = cost_axis(axes)
    fronts.set_xlabel(axis_title(horizontal) if horizontal else "trial")
    fronts.set_ylabel(axis_title(axes[0]))
    fronts.set_xscale("log" if horizontal and horizontal.log else "linear")
    courses.set_xlabel("training seconds, summed over the slots")
    courses.set_ylabel("hypervolume")
    for plot in (fronts, courses):
        plot.grid(alpha=0.3, which="both")
    courses.legend(loc="lower right")
    with atomic_path(path, follow_link=True) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=130)


def _draw_fronts(plot: Axes, group: Group, axes: Sequence[Axis], place: int) -> None:
    horizontal, style = cost_axis(axes), {"color": f"C{place % 10}", "marker": MARKERS[place % len(MARKERS)]}
    for course in group.courses:
        members = [record for record in course.reader.front if record.values]
        points = sorted(
            (record.values[horizontal.name] if horizontal else record.number, record.values[axes[0].name])
            for record in members
            if record.values
        )
        columns = zip(*points, strict=True) if points else ((), ())
        plot.step(*columns, where="post", linewidth=1, markersize=4, alpha=0.8, **style)  # type: ignore[arg-type]


def _draw_course(plot: Axes, group: Group, place: int) -> None:
    """Draw the mean hypervolume of a group, with its interval, as far as all its studies were trained."""
    end = min(course.seconds for course in group.courses)
    seconds = [end * step / STEPS for step in range(STEPS + 1)]
    points = [mean([course.at_seconds(moment) for course in group.courses]) for moment in seconds]
    color, count = f"C{place % 10}", len(group.courses)
    label = group.name + (f", {count} seeds" if count > 1 else "")
    plot.step(seconds, [point["mean"] for point in points], where="post", color=color, label=_plain(label))
    if count > 1:
        low, high = ([point[name] for point in points] for name in ("low", "high"))
        plot.fill_between(seconds, low, high, step="post", color=color, alpha=0.2, linewidth=0)


def _plain(text: str) -> str:
    """Return a text that matplotlib takes as it is: a dollar would begin a formula, and an underscore hide a label."""
    return text.replace("$", r"\$").lstrip("_") or "study"
