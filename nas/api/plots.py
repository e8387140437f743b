"""Plots of a study on the axes of matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

from nas.objectives.pareto import Axis
from nas.reports.measures import axis_title, cost_axis
from nas.study.belief import CONFIDENCE
from nas.study.side_by_side import Course
from nas.study.summary import StudyReader
from nas.study.trial import Record

GREY, COLOUR = "0.65", "#0072b2"


def plot_front(reader: StudyReader, axes: Axes | None) -> Axes:
    """Draw the front: the first objective over the first cost among the objectives, else over the trial's number.

    What is measured is a point; a network of the front has the interval of what is believed, too.
    """
    plot = _axes(axes)
    study = reader.study
    vertical = study.axes[0]
    horizontal = cost_axis(study.axes)
    on_front = {record.number for record in reader.front}
    complete = [record for record in reader.records if record.values]
    members = [record for record in complete if record.number in on_front]
    others = [record for record in complete if record.number not in on_front]
    for found, colour, label in ((others, GREY, "dominated"), (members, COLOUR, "front")):
        x, y = np.array([_point(record, vertical, horizontal) for record in found]).reshape(-1, 2).T
        plot.scatter(x, y, color=colour, label=f"{label} ({len(found)})", s=24, zorder=3)
    beliefs, label = study.believer.beliefs(reader.records), f"{CONFIDENCE:.0%} interval of what is believed"
    for record in members:
        interval = beliefs[record.number].intervals.get(vertical.name) if record.number in beliefs else None
        if interval is not None:
            plot.vlines(
                _point(record, vertical, horizontal)[0], *interval, color=COLOUR, alpha=0.5, linewidth=2, label=label
            )
            label = ""
    if horizontal is not None and horizontal.log and complete:
        plot.set_xscale("log")
    plot.set_xlabel(axis_title(horizontal) if horizontal else "trial")
    plot.set_ylabel(axis_title(vertical))
    plot.set_title(f"Front of {study.name}", parse_math=False)
    plot.legend(loc="best")
    return plot


def _point(record: Record, vertical: Axis, horizontal: Axis | None) -> tuple[float, float]:
    """Return the measured place of a complete trial."""
    values = record.values or {}
    return (values[horizontal.name] if horizontal else record.number), values[vertical.name]


def plot_hypervolume(reader: StudyReader, axes: Axes | None) -> Axes:
    """Draw the hypervolume of the trials so far over the training time; a trial counts with what is believed now."""
    plot = _axes(axes)
    study, points = reader.study, Course(reader).points
    plot.step([seconds for seconds, _ in points], [value for _, value in points], where="post", color=COLOUR)
    plot.set_xlabel("training seconds")
    plot.set_ylabel("hypervolume")
    plot.set_title(f"Hypervolume of {study.name}", parse_math=False)
    return plot


def _axes(axes: Axes | None) -> Axes:
    return pyplot.subplots(figsize=(7, 4.5), layout="constrained")[1] if axes is None else axes


PLOTS: Mapping[str, Callable[[StudyReader, Axes | None], Axes]] = {
    "front": plot_front,
    "hypervolume": plot_hypervolume,
}
"""Plots by name."""
