"""Findings about a machine, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

SIGNS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "bold red")}
CLOSING = {
    "ok": "All is well: nas search can begin.",
    "warning": "nas search can begin; the warnings say what may spoil it.",
    "problem": "nas search would fail: mend the problems above.",
}


def findings_table(document: Mapping[str, Any]) -> RenderableType:
    """Return one line a finding, with what to do below it, and the verdict."""
    table = Table(pad_edge=False, box=None, show_header=False)
    table.add_column("topic", no_wrap=True)
    table.add_column("health", no_wrap=True)
    table.add_column("text", overflow="fold")
    for finding in document["findings"]:
        sign, style = SIGNS[finding["health"]]
        text = Text(finding["text"])
        if finding["advice"]:
            text.append(f"\n→ {finding['advice']}", style)
        table.add_row(Text(finding["topic"]), Text(sign, style), text)
    return Group(table, Text(CLOSING[document["health"]], SIGNS[document["health"]][1]))
