"""Table of a fine-tuned network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.reports.text import mean_text


def finetuned_table(document: Mapping[str, Any]) -> RenderableType:
    """Return the accuracies of each seed, their means, and the files with the results of their checks."""
    seeds = Table("seed", "epochs", "validation accuracy", "test accuracy", "exported", pad_edge=False, box=None)
    for seed in document["seeds"]:
        accuracies = (f"{seed[name]:.4f}" for name in ("val_accuracy", "test_accuracy"))
        best = "yes" if seed["seed"] == document["best_seed"] else ""
        seeds.add_row(str(seed["seed"]), str(seed["epochs"]), *accuracies, best)
    if len(document["seeds"]) > 1:
        seeds.add_row("mean ± sd", "", *(mean_text(document[name]) for name in ("val_accuracy", "test_accuracy")), "")
    title = f"{document['origin']['name']} on {document['data']}, {len(document['classes'])} classes"
    return Group(Text(title), seeds, Text(""), _files(document))


def _files(document: Mapping[str, Any]) -> RenderableType:
    table = Table("file", "largest difference", "accuracy", "size", pad_edge=False, box=None)
    for name, check in document["checks"].items():
        accuracy = f"{check['val_accuracy']:.2%}" if "val_accuracy" in check else "–"
        cells = (name, f"{check['max_difference']:.2g}", accuracy, f"{check['bytes'] / 1000:.1f} kB")
        table.add_row(*map(Text, cells))
    return table
