"""Format of a table: its columns, its metadata, and the name of a row in errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.objectives.costs import built_in_costs

FORMAT = 1
"""Version of the content of a file with a whole space; a reader refuses any other."""

SAMPLE_FORMAT = 2
"""Version of the content of a file with a sample of a space, whose networks may differ in their seeds."""

NETWORK_COLUMNS: Mapping[str, str] = {
    "architecture": "str",
    "id": "str",
    "network_id": "str",
    "summary": "str",
    **{cost.name: "int64" if cost.integer else "float64" for cost in built_in_costs().members},
}
"""Columns that an architecture has before any training, with their dtypes."""

SCORES = ("train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy", "test_accuracy", "seconds", "cpu_seconds")
"""Columns that an epoch of a training has, all float64."""

COLUMNS: Mapping[str, str] = {
    **NETWORK_COLUMNS,
    "seed": "int64",
    "epoch": "int64",
    **dict.fromkeys(SCORES, "float64"),
}
"""All columns in their order, with their dtypes."""

SAMPLE_COLUMNS: Mapping[str, str] = {"origin": "str", **COLUMNS}
"""All columns of a sample: `origin` is the portion that drew the network."""

KEY = ("architecture", "seed", "epoch")
"""Columns that identify a row, and by which the rows are sorted."""

RECIPE = ("data", "split", "training", "space", "test_images", "early_test_images")
"""Metadata that all rows of a table must share: rows of another recipe can't be compared."""

ATTRIBUTES = ("format", *RECIPE, "val_images", "seeds", "epochs", "device", "environment")
"""Metadata that every table has."""

SAMPLE = "sample"
"""Metadata that a sample has beside them: `portions`, the number of networks of each by origin, and `again`."""


def columns_of(attributes: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the columns of a table with these metadata, with their dtypes."""
    return SAMPLE_COLUMNS if SAMPLE in attributes else COLUMNS


class TableError(ValueError):
    """A table that is incomplete, damaged or inconsistent; the message names the file and the row."""


def describe_row(row: Mapping[str, Any]) -> str:
    """Return the name of a row for an error.

    >>> describe_row({"id": "0123456789abcdef", "seed": 1, "epoch": 3, "macs": 12})
    'the row of architecture 0123456789abcdef, seed 1, epoch 3'
    """
    return f"the row of architecture {row['id']}, seed {row['seed']}, epoch {row['epoch']}"
