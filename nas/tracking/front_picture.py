"""Picture of the front, for trackers without interactive figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from nas.tracking.front_figure import DOMINATED, FRONT
from nas.tracking.recorder import Row


def front_picture(rows: Sequence[Row], front: Collection[int], axes: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a scatter plot with the first objective on the y axis, and on the x axis the first cost or the trial.

    Args:
        rows: rows of ended trials.
        front: numbers of the trials on the front.
        axes: the objectives in JSON form; a cost that declares itself logarithmic gets a logarithmic axis.
    """
    vertical, horizontal = axes[0], next((axis for axis in axes[1:] if axis["direction"] == "minimize"), None)
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    plot = figure.subplots()
    complete = [row for row in rows if row["values"]]
    members = [row for row in complete if row["trial"] in front]
    for chosen, style, colour, name in (
        ([row for row in complete if row["trial"] not in front], "o", DOMINATED, "dominated"),
        (members, "o-", FRONT, "front"),
    ):
        points = sorted(
            (row["values"][horizontal["name"]] if horizontal else row["trial"], row["values"][vertical["name"]])
            for row in chosen
        )
        x, y = zip(*points, strict=True) if points else ((), ())
        plot.plot(x, y, style, color=colour, label=f"{name} ({len(points)})", drawstyle="steps-post")
    if horizontal is not None and horizontal["log"]:
        plot.set_xscale("log")
    plot.set(xlabel=horizontal["name"] if horizontal else "trial", ylabel=vertical["name"])
    plot.legend()
    return figure
