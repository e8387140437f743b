"""Figure of the front for optuna-dashboard, whose own figures have linear cost axes: a Plotly figure as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nas.reports.document.measures import shown_axes
from nas.reports.measures import SHARES, axis_title, cost_names, title
from nas.study.belief import Believer
from nas.study.trial import Record

PREFIX = "dashboard:plot_data:front:"
"""Key under which optuna-dashboard keeps a figure of a study, in parts."""
LONGEST = 2045
"""Characters of a part."""


def front_parts(records: Sequence[Record], believer: Believer) -> dict[str, str]:
    """Return the figure of the front as system attributes of a study, by key.

    Args:
        records: the trials.
        believer: the study's believer, which chooses the front.
    """
    text = json.dumps(front_figure(records, believer))
    starts = range(0, len(text), LONGEST)
    return {f"{PREFIX}{part}": text[start : start + LONGEST] for part, start in enumerate(starts)}


def front_figure(records: Sequence[Record], believer: Believer) -> dict[str, Any]:
    """Return the front over its cost as a Plotly figure: an accuracy as its error, both on logarithmic axes.

    Args:
        records: the trials.
        believer: the study's believer, which chooses the front.
    """
    complete = [record for record in records if record.values is not None]
    front = {record.number for record in believer.front(complete)}
    x, y = shown_axes(believer.axes, cost_names([record.candidate.costs for record in complete[:1]]))
    error = y in SHARES

    def trace(name: str, members: Sequence[Record], colour: str) -> dict[str, Any]:
        known = [({"trial": r.number} | dict(r.candidate.costs) | dict(r.values or {}), r) for r in members]
        return {
            "type": "scatter",
            "mode": "markers",
            "name": f"{name} ({len(members)})",
            "x": [values[x] for values, _ in known],
            "y": [1.0 - values[y] if error else values[y] for values, _ in known],
            "text": [f"trial {record.number}" for _, record in known],
            "marker": {"color": colour, "size": 8 if name == "front" else 5},
        }

    titles = {axis.name: axis_title(axis) for axis in believer.axes}
    logarithmic = {axis.name for axis in believer.axes if axis.log} | ({y} if error else set())
    label = titles.get(y, title(y))
    return {
        "data": [
            trace("dominated", [record for record in complete if record.number not in front], "#9e9e9e"),
            trace("front", [record for record in complete if record.number in front], "#0072b2"),
        ],
        "layout": {
            "title": {"text": "Front on logarithmic axes"},
            "xaxis": {"title": {"text": titles.get(x, title(x))}, "type": "log" if x in logarithmic else "linear"},
            "yaxis": {
                "title": {"text": label.replace("accuracy", "error") if error else label},
                "type": "log" if y in logarithmic else "linear",
                **({"tickformat": ".2~%", "dtick": "D2"} if error else {}),
            },
        },
    }
