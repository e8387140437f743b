"""Plots of a study on the axes of matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

from nas.objectives.pareto import hypervolume
from nas.reports.measures import axis_title
from nas.study.summary import StudyReader

GREY, COLOUR = "0.65", "#0072b2"


def plot_front(reader: StudyReader, axes: Axes | None) -> Axes:
    """Draw the front: the first objective over the first cost among the objectives, else over the trial's number."""
    plot = _axes(axes)
    study, members = reader.study, reader.front
    vertical = study.axes[0]
    horizontal = next((axis for axis in study.axes[1:] if axis.direction == "minimize"), None)
    on_front = {record.number for record in members}
    complete = [record for record in reader.records if record.values]
    for chosen, colour, label in ((False, GREY, "dominated"), (True, COLOUR, "front")):
        found = [record for record in complete if (record.number in on_front) == chosen]
        xs = [(r.values or {})[horizontal.name] if horizontal else r.number for r in found]
        plot.scatter(
            xs, [(r.values or {})[vertical.name] for r in found], color=colour, label=f"{label} ({len(found)})", s=24
        )
    if horizontal is not None and horizontal.log and complete:
        plot.set_xscale("log")
    plot.set_xlabel(axis_title(horizontal) if horizontal else "trial")
    plot.set_ylabel(axis_title(vertical))
    plot.set_title(f"Front of {study.name}", parse_math=False)
    plot.legend()
    return plot


def plot_hypervolume(reader: StudyReader, axes: Axes | None) -> Axes:
    """Draw the hypervolume of the trials so far over the training time; a trial counts with what is believed now."""
    plot = _axes(axes)
    study = reader.study
    complete = sorted((r for r in reader.records if r.values), key=lambda r: (r.training.clock or 0.0, r.number))
    believed = study.believer.losses(complete) if complete else np.zeros((0, len(study.axes)))
    seconds = np.cumsum([record.spent for record in complete])
    plot.step(
        seconds, [hypervolume(believed[: count + 1]) for count in range(len(complete))], where="post", color=COLOUR
    )
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
