"""Tables of `nas measure`: latencies of networks, and errors of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def latency_table(document: Mapping[str, Any]) -> RenderableType:
    """Return a row a network, and what the measurement rests on."""
    table = Table(title=Text(_title(document)), title_justify="left", pad_edge=False, box=None)
    for name in ("network", "latency (ms)", "95 % interval", "repeats", "times the first"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for found in document["networks"]:
        ratio = found["ratio"]
        table.add_row(
            Text(found["network"]),
            f"{found['median_ms']:.4g}",
            f"{found['low_ms']:.4g} to {found['high_ms']:.4g}",
            f"{found['repeats']:,}",
            f"{ratio['ratio']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]",
        )
    state = "steady" if document["steady"] else "busy: measure again when it does nothing else"
    return Group(
        table, Text(f"A reference workload ran {document['slowdown']:.2f} times its best: the machine is {state}.")
    )


def model_table(document: Mapping[str, Any]) -> RenderableType:
    """Return the errors on held-out networks of a model and of the costs alone, and its file."""
    title = f"Latency of networks of {document['space']}: {_title(document)}"
    table = Table(title=Text(title), title_justify="left", pad_edge=False, box=None)
    for name in ("predicted from", "median error", "90th percentile", "Kendall's tau"):
        table.add_column(name, justify="left" if name == "predicted from" else "right")
    for name, errors in document["errors"].items():
        label = "operators" if name == "model" else name
        table.add_row(label, f"{errors['median']:.1%}", f"{errors['p90']:.1%}", f"{errors['tau']:.3f}")
    low, high = document["range_ms"]
    return Group(
        table,
        Text("Errors are of networks that were left out of the fit, by cross-validation."),
        Text(f"Fitted from {low:.3g} to {high:.3g} ms; kept in {document['model']}"),
        Text("Search with it: nas search objective=[val_accuracy,latency_ms], and limits.max_latency_ms=..."),
    )


def _title(document: Mapping[str, Any]) -> str:
    return (
        f"{document['runtime']}, batch {document['batch']}, {document['threads']} thread(s), {document['precision']} "
        f"on {document['device']}"
    )
