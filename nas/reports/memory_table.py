"""Table of `nas measure memory=true`: measured peaks of memory beside those that are known before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

LEGEND = (
    "Allocated by torch, workspaces of kernels included; resident: growth of the process. An inference is without the "
    "weights, a training step with weights, gradients and the optimizer's state. The known value is the upper bound of "
    "an inference, and the estimate of a training step."
)


def memory_table(document: Mapping[str, Any]) -> RenderableType:
    """Return two rows a network, of an inference and of a training step."""
    title = f"Peak memory in MiB, on {document['device']}, {document['threads']} thread(s)"
    table = Table(title=Text(title), title_justify="left", pad_edge=False, box=None)
    for name in ("network", "run", "batch", "allocated", "resident", "known"):
        table.add_column(name, justify="left" if name in ("network", "run") else "right")
    for found in document["networks"]:
        inference, training = found["inference"], found["training"]
        table.add_row(Text(found["network"]), "inference", *_cells(inference, inference["batch"], "bound_mib"))
        table.add_row("", "training step", *_cells(training, training["batch_size"], "estimate_mib"))
    return Group(table, Text(LEGEND))


def _cells(peak: Mapping[str, Any], batch: int, known: str) -> tuple[str, ...]:
    resident = peak["resident_mib"]
    told = "not available here" if resident is None else f"{resident:,.4g}"
    return str(batch), f"{peak['allocated_mib']:,.4g}", told, f"{peak[known]:,.4g}"
