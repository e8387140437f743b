"""Measures that reports show: their titles, and those that are shares or costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.objectives.costs import all_costs, built_in_costs, title_of
from nas.objectives.costs.macs import COST as MACS_COST
from nas.objectives.costs.params import COST as PARAMS_COST
from nas.objectives.pareto import Axis

MACS, PARAMS = MACS_COST.name, PARAMS_COST.name
CURVES = ("val_accuracy", "val_balanced_accuracy", "val_loss", "train_loss")
"""Measures of every epoch."""
SHARES = CURVES[:2]
"""Measures in [0, 1], shown in percent."""
TITLES = {
    "val_accuracy": "validation accuracy",
    "val_balanced_accuracy": "balanced validation accuracy",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "seconds": "training seconds",
    "trial": "trial",
}


def title(name: str) -> str:
    """Return the title of a measure in text, with its unit.

    >>> title("macs"), title("latency_ms")
    ('MACs', 'latency (ms)')
    """
    return TITLES.get(name) or title_of(name)


def axis_title(axis: Axis) -> str:
    """Return the title of an objective in text, with its unit."""
    label = title(axis.name)
    return f"{label} ({axis.unit})" if axis.unit and f"({axis.unit})" not in label else label


def cost_axis(axes: Sequence[Axis]) -> Axis | None:
    """Return the axis that a picture of the front has across: the first minimised one behind the first objective."""
    return next((axis for axis in axes[1:] if axis.direction == "minimize"), None)


def heading(name: str) -> str:
    """Return the heading of a measure's column in a table of the terminal: its name in words, or a cost's heading.

    >>> heading("memory_mib"), heading("val_accuracy")
    ('memory (MiB)', 'val accuracy')
    """
    columns = {cost.name: cost.column for cost in all_costs().members}
    return columns.get(name, name.replace("_", " "))


def cost_names(networks: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the names of the costs of a study's networks; our own costs if there is no network."""
    return list(networks[0]) if networks else list(built_in_costs().names)
