"""Tables of `nas measure`: latencies of networks, and errors of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    lines = [Text(f"A reference workload ran {document['slowdown']:.2f} times its best: the machine is {state}.")]
    if "kept" in document:
        lines.append(Text(f"Kept with the study, whose page shows it: {document['kept']}"))
    return Group(table, *lines)


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
        Text(f"Search with it: nas search {_search_words(document)}, and limits.max_latency_ms=..."),
    )


def operators_table(document: Mapping[str, Any]) -> RenderableType:
    """Return a row an operator, the slowest first, with its part of the network's latency."""
    title = f"{document['network']}: {document['median_ms']:.4g} ms, {_title(document)}"
    table = Table(title=Text(title), title_justify="left", pad_edge=False, box=None)
    for name in ("operator", "times", "alone (ms)", "95 % interval", "together (ms)", "of the network"):
        table.add_column(name, justify="left" if name == "operator" else "right")
    for found in document["operators"]:
        table.add_row(
            Text(found["operator"]),
            str(found["count"]),
            f"{found['median_ms']:.4g}",
            f"{found['low_ms']:.4g} to {found['high_ms']:.4g}",
            f"{found['total_ms']:.4g}",
            f"{found['total_ms'] / document['median_ms']:.1%}",
        )
    share = sum(found["total_ms"] for found in document["operators"]) / document["median_ms"]
    lines = [f"By themselves they take {share:.0%} of the network's time: joins are left out, and a runtime may fuse."]
    if not document["steady"]:
        lines.append(f"The machine is busy: a reference workload ran {document['slowdown']:.2f} times its best.")
    return Group(table, *map(Text, lines))


def folder_table(document: Mapping[str, Any]) -> RenderableType:
    """Return what a folder for another device holds, and what is to be done with it there."""
    size = document["bytes"] / 2**20
    return Group(
        Text(f"{document['folder']} holds {document['networks']:,} networks, {size:.1f} MiB, and measure.py."),
        Text("Copy it to the device, where Python has numpy and onnxruntime, and run there: python measure.py"),
        Text("Take the results back with: nas measure results=results.json"),
    )


def latency_lines(latencies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each known latency of a network: measured with its interval, or predicted with its error."""
    lines = []
    for found in latencies:
        words = _title({**found["circumstances"], "machine": found["device"]})
        if "interval" in found:
            low, high = found["interval"]
            busy = "" if found["steady"] else ", on a busy machine"
            lines.append(f"measured latency (ms): {found['milliseconds']:.4g} ({low:.4g} to {high:.4g}{busy}), {words}")
        else:
            outside = ", outside the fitted range" if found["outside"] else f" ± {found['error']:.0%}"
            lines.append(f"predicted latency (ms): {found['milliseconds']:.4g}{outside}, {words}")
    return lines


def _search_words(document: Mapping[str, Any]) -> str:
    options = [f"objective.latency_ms.options.{name}={value}" for name, value in document["options"].items()]
    return " ".join(["objective=[val_accuracy,latency_ms]", *options])


def _title(document: Mapping[str, Any]) -> str:
    return (
        f"{document['runtime']}, batch {document['batch']}, {document['threads']} thread(s), {document['precision']} "
        f"on {document['device']} ({document['machine'].get('model', 'unknown')})"
    )
