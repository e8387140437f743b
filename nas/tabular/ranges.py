"""Ranges of what stands in a table: its metadata and the values of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nas.config.ranges import LARGEST_SEED, Range, check_number, show
from nas.objectives.costs import built_in_costs
from nas.tabular.columns import SAMPLE, TableError, describe_row

LARGEST_TABLE = 10_000_000
"""Most rows of a table."""

SHARE = Range(0, 1)
LOSS = Range(0, 1e12)
COST = Range(0, 1e18)
SECONDS = Range(0, 1e9)

VALUES: Mapping[str, Range] = {
    **{cost.name: COST for cost in built_in_costs().members},
    "seed": Range(0, LARGEST_SEED),
    "epoch": Range(1, 100_000),
    "train_loss": LOSS,
    "val_loss": LOSS,
    "val_accuracy": SHARE,
    "val_balanced_accuracy": SHARE,
    "test_accuracy": SHARE,
    "seconds": SECONDS,
    "cpu_seconds": SECONDS,
}
"""Ranges of the columns."""

COUNTS: Mapping[str, Range] = {
    "epochs": Range(1, 100_000),
    "val_images": Range(1, 10**9),
    "test_images": Range(1, 10**9),
    "early_test_images": Range(1, 10**9),
}
"""Ranges of the whole numbers among the metadata."""

MOST_SEEDS = 1000
DEEPEST = 32
MOST_VALUES = 100_000


def check_metadata(attributes: Mapping[str, Any]) -> None:
    """Refuse metadata of other types than a table has, or numbers out of their ranges.

    Raises:
        TableError: such metadata; the message names the field.
    """
    _check_size(attributes)
    try:
        for name, interval in COUNTS.items():
            check_number(name, attributes[name], interval, whole=True)
        _check_seeds(attributes["seeds"])
        for name in ("space", "data", "training"):
            _check_kind(name, attributes[name], dict, "a mapping")
        if SAMPLE in attributes:
            _check_portions(attributes[SAMPLE])
    except ValueError as error:
        raise TableError(f"a table's metadata must be in range: {error}") from None


def _check_seeds(seeds: object) -> None:
    _check_kind("seeds", seeds, list, "a list")
    assert isinstance(seeds, list)
    if not 1 <= len(seeds) <= MOST_SEEDS:
        raise ValueError(f"seeds must be 1 to {MOST_SEEDS}, got {len(seeds)}")
    for seed in seeds:
        check_number("each of seeds", seed, VALUES["seed"], whole=True)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must differ, got {show(seeds)}")


def _check_portions(sample: object) -> None:
    _check_kind(SAMPLE, sample, dict, "a mapping")
    assert isinstance(sample, dict)
    portions = sample.get("portions")
    _check_kind(f"{SAMPLE}.portions", portions, dict, "a mapping")
    assert isinstance(portions, dict)
    for name, count in portions.items():
        check_number(f"{SAMPLE}.portions.{str(name)[:60]}", count, Range(0, 10**6), whole=True)


def _check_kind(name: str, value: object, kind: type, law: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {law}, got {show(value)}")  # noqa: TRY004 - a user's value


def _check_size(attributes: Mapping[str, Any]) -> None:
    """Raise TableError if the metadata are too deep or too many to be worked with."""
    found, level = 0, [attributes]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _inner(value)]
        found += len(level)
        if not level or found > MOST_VALUES:
            break
    if level:
        raise TableError(f"a table's metadata must have at most {DEEPEST} levels and {MOST_VALUES} values, got more")


def _inner(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def check_values(frame: pd.DataFrame, epochs: int) -> None:
    """Refuse rows with a number out of the range of its column.

    Args:
        frame: the rows, whose columns have their kinds.
        epochs: epochs of a full training, by the metadata.

    Raises:
        TableError: such a row; the message names it and the column.
    """
    if len(frame) > LARGEST_TABLE:
        raise TableError(f"a table must have at most {LARGEST_TABLE} rows, got {len(frame)}")
    for name, interval in VALUES.items():
        column = frame[name].to_numpy()
        wrong = ~((column >= interval.least) & (column <= interval.most))
        if wrong.any():
            first = int(np.argmax(wrong))
            law = f"{name} must lie in [{interval.least:g}, {interval.most:g}]"
            raise TableError(f"{law}, {describe_row(frame.iloc[first])} has {column[first]!s}")
    late = frame["epoch"].to_numpy() > epochs
    if late.any():
        law = f"epoch must be at most the {epochs} epochs of the metadata"
        raise TableError(f"{law}, got {describe_row(frame.iloc[int(np.argmax(late))])}")
    _check_charged(frame)


def _check_charged(frame: pd.DataFrame) -> None:
    """Raise TableError if an epoch took no time at all: a simulated search would never end."""
    none = frame["seconds"].to_numpy() <= 0
    if none.any():
        named = describe_row(frame.iloc[int(np.argmax(none))])
        raise TableError(f"seconds must be positive, {named} has {frame['seconds'].iloc[int(np.argmax(none))]!s}")
