"""Comparison of two networks as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.reports.measures import heading, title
from nas.reports.text import number_text
from nas.study.comparison import gap_text, signed


def comparison_table(document: Mapping[str, Any]) -> RenderableType:
    """Return both networks, the changes in words, and the costs of both with their change."""
    first, second = document["networks"]
    lines: list[RenderableType] = [Text(f"{name}: {one['summary']}") for name, one in _named(first, second)]
    changes = [change["text"] for change in document["changes"]]
    lines += [Text(""), *map(Text, changes or ["no choice differs"]), Text("")]
    table = Table(pad_edge=False, box=None)
    table.add_column("")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, cost in document["costs"].items():
        percent = "–" if cost["percent"] is None else f"{signed(cost['percent'], 1)} %"
        table.add_row(heading(name), number_text(cost["before"]), number_text(cost["after"]), percent)
    return Group(*lines, table, *map(Text, _objective_lines(document)))


def _named(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"before  {first['name']}", first), (f"after   {second['name']}", second)]


def _objective_lines(document: Mapping[str, Any]) -> list[str]:
    """Return one line a trained objective, and the meaning of the interval."""
    gaps = document["objectives"]
    lines = [f"{title(name)}: {gap_text(name, gap)}" for name, gap in gaps.items()]
    if any(gap["interval"] is not None for gap in gaps.values()):
        lines.append(f"±: half the interval of {document['confidence']:.0%} of the difference")
    return lines
