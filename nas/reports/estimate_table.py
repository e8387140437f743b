"""Table of the estimate of a search, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.reports.text import duration_text

QUANTITIES: Mapping[str, str] = {
    "seconds": "time",
    "trials": "trials",
    "trainings": "full trainings",
    "training_seconds": "training time",
    "process_memory_mib": "memory",
    "training_memory_mib": "memory of a training",
    "gpu_mib": "GPU memory of a training",
    "disk_mib": "disk",
}
"""Quantities of the document, and their titles."""


def estimate_table(document: Mapping[str, Any]) -> RenderableType:
    """Return the ranges, one a row, what they rest on, and what to do about them."""
    table = Table(title=Text(_title(document)), title_justify="left", pad_edge=False, box=None, show_header=False)
    table.add_column("quantity")
    table.add_column("range")
    for name, title in QUANTITIES.items():
        if name in document:
            table.add_row(title, Text(range_text(name, document[name]), style="bold" if name == "seconds" else ""))
    return Group(table, *map(Text, [_basis(document["measured"]), *document["advice"]]))


def _title(document: Mapping[str, Any]) -> str:
    budget = [f"budget.{name}={document['budget'][name]:g}" for name in ENDS if name in document["budget"]]
    return f"A search of {document['space']} on {document['data']} with {', '.join(budget)}"


ENDS = ("trials", "minutes", "trainings")


def _basis(measured: Mapping[str, Any]) -> str:
    full = measured["full_training_seconds"]
    shortest, longest = duration_text(full["min"]), duration_text(full["max"])
    return (
        f"From {measured['networks']} networks timed on this machine, {measured['slots']} at once: a full training "
        f"takes {shortest} to {longest}, a start {measured['start_up_seconds']:.1f} s."
    )


def range_text(name: str, found: Mapping[str, float]) -> str:
    """Return a range with its unit.

    >>> range_text("seconds", {"low": 100, "high": 250}), range_text("trials", {"low": 80, "high": 80})
    ('1 min 40 s to 4 min 10 s', '80')
    >>> range_text("disk_mib", {"low": 12.3, "high": 4096, "free": 90000})
    '12 MiB to 4.0 GiB of 87.9 GiB that are free'
    """
    show = duration_text if name.endswith("seconds") else _mib_text if name.endswith("_mib") else _count_text
    low, high = show(found["low"]), show(found["high"])
    text = low if low == high else f"{low} to {high}"
    if "free" in found:
        return f"{text} of {_mib_text(found['free'])} that are free"
    return f"{text} of {_mib_text(found['available'])}" if "available" in found else text


def _mib_text(size: float) -> str:
    return f"{size / 1024:.1f} GiB" if size >= 1024 else f"{size:.0f} MiB"


def _count_text(count: float) -> str:
    return f"{count:,.0f}" if count >= 10 else f"{count:.2g}"
