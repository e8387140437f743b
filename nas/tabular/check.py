"""Checks of a table: complete or a sample, of one space, without duplicates, finite and sorted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nas.config.ranges import Range, check_number, show
from nas.tabular.columns import (
    ATTRIBUTES,
    FORMAT,
    KEY,
    SAMPLE,
    SAMPLE_FORMAT,
    TableError,
    columns_of,
    describe_row,
)
from nas.tabular.ranges import check_metadata, check_values
from search_space.architecture import Architecture
from search_space.choices import SpaceError
from search_space.graph import Shape
from search_space.identity import canonical_json
from search_space.limits import MOST_CLASSES, MOST_PIXELS
from search_space.lowering import summary
from search_space.space import Space, parse_space

LARGEST_CHECKED = 1_000_000
"""Rows that a whole space may have by its metadata without a table of a tenth of their number."""


def read_space(attributes: Mapping[str, Any]) -> Space:
    """Return the space that a table's metadata describe.

    Raises:
        SpaceError: the description is not valid.
    """
    mapping = dict(attributes["space"])
    shape, classes = mapping.pop("input", None), mapping.pop("classes", None)
    if not isinstance(shape, list | tuple) or len(shape) != 3:
        raise SpaceError(f"input of a table's space must be [channels, height, width], got {show(shape)}")
    for name, value, most in (
        *(("input", extent, MOST_PIXELS) for extent in shape),
        ("classes", classes, MOST_CLASSES),
    ):
        check_number(f"{name} of a table's space", value, Range(1, most), whole=True)
    return parse_space(mapping, Shape(*shape), classes)


def check_table(frame: pd.DataFrame, attributes: Mapping[str, Any]) -> Space:
    """Raise TableError if rows are missing, foreign, duplicate or out of order, or a value is not finite.

    Args:
        frame: the rows.
        attributes: the metadata.

    Returns:
        The space that the table enumerates or samples.

    Raises:
        TableError: one of these; the message names the first such row.
    """
    _check_attributes(attributes)
    _check_columns(frame, columns_of(attributes))
    _check_numbers(frame, columns_of(attributes))
    check_values(frame, int(attributes["epochs"]))
    _check_duplicates(frame)
    space = read_space(attributes)
    (_check_sample if SAMPLE in attributes else _check_complete)(frame, attributes, space)
    _check_identities(frame)
    _check_order(frame)
    return space


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    missing = [name for name in ATTRIBUTES if name not in attributes]
    if missing:
        raise TableError(f"a table's metadata must have {', '.join(ATTRIBUTES)}, lacks {', '.join(missing)}")
    law, kind = (SAMPLE_FORMAT, "a sample") if SAMPLE in attributes else (FORMAT, "a table")
    if attributes["format"] != law or isinstance(attributes["format"], bool):
        raise TableError(f"{kind} must be of format {law}, got format {show(attributes['format'])}")
    check_metadata(attributes)


def _check_columns(frame: pd.DataFrame, columns: Mapping[str, str]) -> None:
    if list(frame.columns) != list(columns):
        raise TableError(f"a table must have the columns {list(columns)}, got {list(frame.columns)}")
    for name, kind in columns.items():
        found = "str" if pd.api.types.is_string_dtype(frame[name]) else str(frame[name].dtype)
        if found != kind:
            raise TableError(f"column {name} must be of kind {kind}, got {frame[name].dtype}")


def _check_numbers(frame: pd.DataFrame, columns: Mapping[str, str]) -> None:
    for name, kind in columns.items():
        column = frame[name]
        wrong = ~np.isfinite(column.to_numpy()) if kind == "float64" else column.isna().to_numpy()
        if wrong.any():
            row = frame.iloc[int(wrong.argmax())]
            raise TableError(f"every value must be there and finite, {describe_row(row)} has {name} {row[name]}")


def _check_duplicates(frame: pd.DataFrame) -> None:
    again = frame.duplicated(list(KEY)).to_numpy()
    if again.any():
        raise TableError(
            f"every row must be there once, {describe_row(frame.iloc[int(again.argmax())])} is there again"
        )


def _check_complete(frame: pd.DataFrame, attributes: Mapping[str, Any], space: Space) -> None:
    """Raise TableError unless the rows are all architectures of the space, times all seeds, times all epochs."""
    _check_size(frame, attributes, space)
    wanted = {(seed, epoch) for seed in attributes["seeds"] for epoch in range(1, int(attributes["epochs"]) + 1)}
    expected = {canonical_json(architecture.to_json()): architecture for architecture in space.architectures()}
    held: dict[str, set[tuple[int, int]]] = {text: set() for text in expected}
    for number, (text, seed, epoch) in enumerate(zip(*(frame[name].tolist() for name in KEY), strict=True)):
        if text not in held:
            named = describe_row(frame.iloc[number])
            raise TableError(f"a row must be of an architecture of the space {space.name}, {named} is of another")
        held[text].add((seed, epoch))
    for text, architecture in expected.items():
        _check_rows(architecture, held[text], wanted)


def _check_size(frame: pd.DataFrame, attributes: Mapping[str, Any], space: Space) -> None:
    """Raise TableError if the space of the metadata is far larger than the table: it would be enumerated for long."""
    trainings, epochs = len(attributes["seeds"]), int(attributes["epochs"])
    rows = space.size * trainings * epochs
    if rows > max(10 * len(frame), LARGEST_CHECKED):
        raise TableError(
            f"a table holds its whole space and no more, {space.name} has {space.size:.6g} architectures, with "
            f"{trainings} seeds and {epochs} epochs, and the table {len(frame)} rows"
        )


def _check_sample(frame: pd.DataFrame, attributes: Mapping[str, Any], space: Space) -> None:
    """Raise TableError unless every network is of the space, of a portion, and complete for each of its seeds."""
    if not len(frame):
        raise TableError("a sample must have networks, got none")
    portions, seeds = attributes[SAMPLE]["portions"], set(attributes["seeds"])
    wanted = list(range(1, int(attributes["epochs"]) + 1))
    for text, rows in frame.groupby("architecture", sort=False):
        named = describe_row(rows.iloc[0])
        if not space.contains(_architecture(text, named)):
            raise TableError(f"a row must be of an architecture of the space {space.name}, {named} is of another")
        origins = sorted(set(rows["origin"]))
        if len(origins) > 1 or origins[0] not in portions:
            law = f"a network must be of one portion, of {', '.join(portions)}"
            raise TableError(f"{law}, {named} is of {', '.join(origins)}")
        for seed, training in rows.groupby("seed"):
            if seed not in seeds or sorted(training["epoch"]) != wanted:
                law = f"a training must have the epochs 1 to {wanted[-1]} and a seed of {sorted(seeds)}"
                raise TableError(f"{law}, that of {describe_row(training.iloc[0])} has not")


def _architecture(text: str, named: str) -> Architecture:
    try:
        return Architecture.from_json(json.loads(text))
    except (RecursionError, TypeError, ValueError) as error:
        raise TableError(f"a row must hold the JSON document of an architecture, {named} does not: {error}") from None


def _check_rows(architecture: Architecture, found: set[tuple[int, int]], wanted: set[tuple[int, int]]) -> None:
    for law, wrong in (("be there", wanted - found), ("not be there", found - wanted)):
        if wrong:
            seed, epoch = min(wrong)
            name = describe_row({"id": architecture.id, "seed": seed, "epoch": epoch})
            raise TableError(f"a table holds its whole space and no more, {name} must {law} ({summary(architecture)})")


def _check_identities(frame: pd.DataFrame) -> None:
    for row in frame.drop_duplicates("architecture").to_dict("records"):
        identity = _architecture(row["architecture"], describe_row(row)).id
        if identity != row["id"]:
            raise TableError(f"an id must be its architecture's, {describe_row(row)} is of architecture {identity}")


def _check_order(frame: pd.DataFrame) -> None:
    ordered = frame.sort_values(list(KEY), kind="stable").index.to_numpy()
    late = ordered != np.arange(len(frame))
    if late.any():
        row = frame.iloc[int(late.argmax())]
        raise TableError(f"rows must be sorted by {', '.join(KEY)}, {describe_row(row)} is out of place")
