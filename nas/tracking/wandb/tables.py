"""Tables and charts of the front and of all trials."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import wandb

from nas.tracking.drawings import drawing
from nas.tracking.front_figure import front_figure
from nas.tracking.recorder import Row
from nas.tracking.wandb.keys import choice_key

Axes = Sequence[Mapping[str, Any]]


def front_panels(rows: Sequence[Row], front: Sequence[int], axes: Axes) -> dict[str, Any]:
    """Return the front as a table with drawings, as a chart of W&B's own and as a figure.

    Args:
        rows: rows of ended trials, at least one.
        front: numbers of the trials on the front, cheapest first.
        axes: the objectives in JSON form.
    """
    by_number = {row["trial"]: row for row in rows}
    members = [by_number[number] for number in front]
    panels = {
        "front/picture": wandb.Plotly(front_figure(rows, front, axes)),
        "front/table": _table(members, _names(rows, axes), {}, drawn=set(front)),
    }
    return panels | ({"front/chart": _chart(rows, set(front), axes)} if any(row["values"] for row in rows) else {})


def trials_table(rows: Sequence[Row], front: Collection[int], axes: Axes) -> wandb.Table:
    """Return a table of all trials with each choice in a column of its own, and drawings of those on the front."""
    choices = sorted({path for row in rows for path in row["choices"]})
    columns = {
        "state": [row["state"] for row in rows],
        "seconds": [row["seconds"] for row in rows],
        "epochs": [row["epochs"] for row in rows],
        **{choice_key(path): _column([row["choices"].get(path) for row in rows]) for path in choices},
    }
    return _table(rows, _names(rows, axes), columns, drawn=front)


def _column(values: Sequence[Any]) -> list[Any]:
    """Return the cells of a column, which W&B wants of one type: numbers, or else texts.

    >>> _column([1, None, 0.5]), _column(["none", 0.5, None])
    ([1.0, None, 0.5], ['none', '0.5', None])
    """
    known = [value for value in values if value is not None]
    kind = str if any(isinstance(value, str | bool) for value in known) else float
    return [None if value is None else kind(value) for value in values]


def _names(rows: Sequence[Row], axes: Axes) -> list[str]:
    values = [axis["name"] for axis in axes]
    return [*values, *(name for name in rows[-1]["costs"] if name not in values)]


def _table(
    rows: Sequence[Row], names: Sequence[str], columns: Mapping[str, Sequence[Any]], *, drawn: Collection[int]
) -> wandb.Table:
    measured = [{**row["costs"], **row["values"]} for row in rows]
    data = [
        [
            row["trial"],
            *(measured[place].get(name) for name in names),
            *(column[place] for column in columns.values()),
            row["summary"],
            row["id"],
            _drawing(row) if row["trial"] in drawn else None,
        ]
        for place, row in enumerate(rows)
    ]
    return wandb.Table(columns=["trial", *names, *columns, "architecture", "id", "drawing"], data=data)


def _drawing(row: Row) -> wandb.Html | None:
    svg = drawing(row)
    return None if svg is None else wandb.Html(svg, inject=False)


def _chart(rows: Sequence[Row], front: Collection[int], axes: Axes) -> Any:
    """Return a scatter plot of W&B's own: the first objective over the first cost, or over the trial's number."""
    vertical = axes[0]["name"]
    horizontal = next((axis["name"] for axis in axes[1:] if axis["direction"] == "minimize"), "trial")
    known = [{"trial": row["trial"], **row["values"]} for row in rows if row["values"]]
    data = [[row["trial"], row[horizontal], row[vertical], str(row["trial"] in front)] for row in known]
    table = wandb.Table(columns=["number", horizontal, vertical, "on the front"], data=data)
    return wandb.plot.scatter(table, horizontal, vertical, title=f"{vertical} over {horizontal}")
