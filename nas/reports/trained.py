"""What retraining and export print, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.costs.params import COST as PARAMS
from nas.reports.tables import number

Document = Mapping[str, Any]


def mean_and_spread(values: Mapping[str, Any]) -> str:
    """A mean, its standard deviation over seeds, and how many there were.

    >>> mean_and_spread({"mean": 0.91234, "sd": 0.0042, "n": 3}), mean_and_spread({"mean": 0.9, "sd": None, "n": 1})
    ('0.9123 ± 0.0042 (n = 3)', '0.9000 (n = 1)')
    """
    if not values["n"]:
        return "none yet"
    sd = "" if values["sd"] is None else f" ± {values['sd']:.4f}"
    return f"{values['mean']:.4f}{sd} (n = {values['n']})"


def retrain_table(document: Document) -> RenderableType:
    """The retrained networks, one a line: accuracies as mean ± standard deviation over seeds."""
    title = f"Retrained from {document['study']}, {document['training']['epochs']} epochs, mean ± sd over seeds"
    table = _table(
        title, ("trial", "test accuracy", "validation accuracy", "in the search", PARAMS.column, MACS.column)
    )
    for network in document["networks"]:
        spreads = (mean_and_spread(network[name]) for name in ("test_accuracy", "val_accuracy"))
        searched = network["values"].get("val_accuracy")
        costs = (number(network["costs"][name]) for name in (PARAMS.name, MACS.name))
        table.add_row(
            str(network["trial"]),
            *spreads,
            "–" if searched is None else f"{searched:.4f}",
            *costs,
            Text(network["summary"]),
        )
    return table


def export_table(document: Document) -> RenderableType:
    """The forms that were handed over, one a line, with how far each is from the network."""
    table = _table(f"Handed over from {document['study']}", ("trial", "form", "largest difference", "same class"))
    for bundle in document["exported"]:
        for name, check in bundle["checks"].items():
            same = check.get("argmax_agreement")
            words = (name, f"{check['max_difference']:.2g}", "–" if same is None else f"{same:.2%}")
            table.add_row(str(bundle["trial"]), *map(Text, words), Text(f"{bundle['output']}/{name}"))
    table.columns[-1].header = "file"
    return table


def _table(title: str, numbers: tuple[str, ...]) -> Table:
    table = Table(title=Text(title), title_justify="left", pad_edge=False, box=None)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("network", overflow="fold", ratio=1)
    return table


def tabulated_table(document: Document) -> RenderableType:
    """A table of learning curves, in figures."""
    found = document["test_accuracy"]
    title = Text(f"Table {document['table']}")
    table = Table(title=title, title_justify="left", pad_edge=False, box=None, show_header=False)
    table.add_row("space", str(document["space"]))
    table.add_row("architectures", str(document["architectures"]))
    table.add_row("networks, equal ones once", str(document["networks"]))
    table.add_row("seeds × epochs", f"{len(document['seeds'])} × {document['epochs']}")
    table.add_row("mean full training", f"{document['mean_seconds']:.2f} s")
    table.add_row("mean test accuracy", f"{found['min']:.4f} to {found['max']:.4f}")
    return table
