"""The front as an interactive picture: accuracy over cost, every trial a point that says what it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from nas.tracking.rows import Row

DOMINATED, FRONT = "#b0b0b0", "#1f77b4"


def front_figure(rows: Sequence[Row], front: Collection[int], axes: Sequence[Mapping[str, Any]]) -> go.Figure:
    """The first objective on the upright axis, the first cost along the other, logarithmic where the cost is.

    Args:
        rows: rows of ended trials.
        front: numbers of the trials on the front.
        axes: the objectives in JSON form; without a cost among them, trials stand in the order of their numbers.
    """
    upright = axes[0]
    across = next((axis for axis in axes[1:] if axis["direction"] == "minimize"), None)
    complete = [row for row in rows if row["values"]]
    members = [row for row in complete if row["trial"] in front]
    members.sort(key=lambda row: _along(row, across))
    others = [row for row in complete if row["trial"] not in front]
    figure = go.Figure(
        [
            _points(others, f"dominated ({len(others)})", upright, across, mode="markers"),
            _points(members, f"front ({len(members)})", upright, across, mode="lines+markers"),
        ]
    )
    figure.update_layout(template="none", hovermode="closest", legend={"orientation": "h"})
    figure.update_xaxes(title=across["name"] if across else "trial", type="log" if across and across["log"] else None)
    figure.update_yaxes(title=upright["name"])
    return figure


def _along(row: Row, across: Mapping[str, Any] | None) -> float:
    return float(row["values"][across["name"]] if across else row["trial"])


def _points(
    rows: Sequence[Row], name: str, upright: Mapping[str, Any], across: Mapping[str, Any] | None, *, mode: str
) -> go.Scatter:
    colour = FRONT if "lines" in mode else DOMINATED
    return go.Scatter(
        x=[_along(row, across) for row in rows],
        y=[row["values"][upright["name"]] for row in rows],
        mode=mode,
        name=name,
        text=[_said(row) for row in rows],
        hoverinfo="text",
        line={"shape": "hv", "color": colour},
        marker={"color": colour, "size": 9 if "lines" in mode else 6},
    )


def _said(row: Row) -> str:
    """What a point says; plotly reads a little HTML, which a summary must not be taken for."""
    values = ", ".join(f"{name} {value:.6g}" for name, value in row["values"].items())
    text = str(row["summary"]).replace("&", "&amp;").replace("<", "&lt;")
    return f"trial {row['trial']}<br>{values}<br>{text}"
