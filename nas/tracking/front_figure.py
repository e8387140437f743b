"""Interactive figure of the front: one objective over the other, one point a trial."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from nas.tracking.recorder import Row

DOMINATED, FRONT = "#b0b0b0", "#1f77b4"


def front_figure(rows: Sequence[Row], front: Collection[int], axes: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return a scatter plot with the first objective on the y axis and the first cost on the x axis.

    Args:
        rows: rows of ended trials.
        front: numbers of the trials on the front.
        axes: the objectives in JSON form; a cost that declares itself logarithmic gets a logarithmic axis. Without a
            cost among them, x is the trial's number.
    """
    vertical = axes[0]
    horizontal = next((axis for axis in axes[1:] if axis["direction"] == "minimize"), None)
    complete = [row for row in rows if row["values"]]
    members = [row for row in complete if row["trial"] in front]
    members.sort(key=lambda row: _x(row, horizontal))
    others = [row for row in complete if row["trial"] not in front]
    figure = go.Figure(
        [
            _scatter(others, f"dominated ({len(others)})", vertical, horizontal, mode="markers"),
            _scatter(members, f"front ({len(members)})", vertical, horizontal, mode="lines+markers"),
        ]
    )
    figure.update_layout(template="none", hovermode="closest", legend={"orientation": "h"})
    logarithmic = horizontal is not None and horizontal["log"]
    figure.update_xaxes(title=horizontal["name"] if horizontal else "trial", type="log" if logarithmic else None)
    figure.update_yaxes(title=vertical["name"])
    return figure


def _x(row: Row, horizontal: Mapping[str, Any] | None) -> float:
    return float(row["values"][horizontal["name"]] if horizontal else row["trial"])


def _scatter(
    rows: Sequence[Row], name: str, vertical: Mapping[str, Any], horizontal: Mapping[str, Any] | None, *, mode: str
) -> go.Scatter:
    colour = FRONT if "lines" in mode else DOMINATED
    return go.Scatter(
        x=[_x(row, horizontal) for row in rows],
        y=[row["values"][vertical["name"]] for row in rows],
        mode=mode,
        name=name,
        text=[_hover_text(row) for row in rows],
        hoverinfo="text",
        line={"shape": "hv", "color": colour},
        marker={"color": colour, "size": 9 if "lines" in mode else 6},
    )


def _hover_text(row: Row) -> str:
    """Return the label of a point; the summary is escaped, since Plotly renders a little HTML."""
    values = ", ".join(f"{name} {value:.6g}" for name, value in row["values"].items())
    text = str(row["summary"]).replace("&", "&amp;").replace("<", "&lt;")
    return f"trial {row['trial']}<br>{values}<br>{text}"
