"""Hostile values of a table: each metadata field and each column, refused by its name, and by its row and file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_tables import attributes, rows

from nas.tabular.table import TableError, read_table, write_parquet

HOSTILE: list[Any] = [math.nan, math.inf, -1, 0, 1e300, 10**30, "", "x", [], {}, True, None, [0, [1], 2], 0.5, [[]] * 3]


def table_with(folder: Path, about: dict[str, Any], frame: pd.DataFrame | None = None) -> Path:
    """Write a file without any check, as somebody else may."""
    path = folder / "t.parquet"
    write_parquet(rows(attributes()) if frame is None else frame, about, path)
    return path


@pytest.fixture(scope="module")
def good() -> pd.DataFrame:
    return rows(attributes()).sort_values(["architecture", "seed", "epoch"]).reset_index(drop=True)


def refusal(path: Path) -> str:
    with pytest.raises(TableError) as caught:
        read_table(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "field", ["epochs", "seeds", "val_images", "test_images", "early_test_images", "space", "format"]
)
def test_a_hostile_value_of_a_metadata_field_is_refused_by_name(field: str, good: pd.DataFrame, tmp_path: Path) -> None:
    for value in HOSTILE:
        if isinstance(value, float) and not math.isfinite(value):
            continue  # JSON has none; below
        assert field in refusal(table_with(tmp_path, {**attributes(), field: value}, good)), value


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_metadata_that_are_no_number_are_refused(value: float, good: pd.DataFrame, tmp_path: Path) -> None:
    assert "epochs must be a whole number" in refusal(table_with(tmp_path, {**attributes(), "epochs": value}, good))


@pytest.mark.parametrize("field", ["input", "classes", "stem", "stages", "name"])
def test_a_hostile_value_in_the_space_is_refused(field: str, good: pd.DataFrame, tmp_path: Path) -> None:
    for value in [*HOSTILE, [1, 2], [1, 8, 10**9], 10**12, [{"depth": [1, 10**12], "block": {}}]]:
        about = attributes()
        about["space"] = {**about["space"], field: value}
        if field == "name" and value not in ("", [], {}, None):
            continue
        refusal(table_with(tmp_path, about, good))


def test_a_space_far_larger_than_the_table_is_refused_before_it_is_enumerated(
    good: pd.DataFrame, tmp_path: Path
) -> None:
    about = attributes()
    deep = {"depth": 16, "block": {"branches": {"k1": {"width": [4, 8]}, "k3": {"width": [0, 4]}}}}
    about["space"] = {**about["space"], "stages": [deep]}
    text = refusal(table_with(tmp_path, about, good))
    assert "made_up has 1.71799e+10 architectures, with 3 seeds and 3 epochs, and the table 144 rows" in text


@pytest.mark.parametrize(
    ("column", "value", "law"),
    [
        ("val_accuracy", 1e300, r"val_accuracy must lie in [0, 1], the row of architecture"),
        ("val_accuracy", -0.01, "val_accuracy must lie in [0, 1]"),
        ("val_balanced_accuracy", 1.5, "val_balanced_accuracy must lie in [0, 1]"),
        ("test_accuracy", -7.0, "test_accuracy must lie in [0, 1]"),
        ("test_accuracy", math.nan, "has test_accuracy nan"),
        ("train_loss", -1.0, "train_loss must lie in [0, 1e+12]"),
        ("val_loss", math.inf, "has val_loss inf"),
        ("val_loss", 1e300, "val_loss must lie in [0, 1e+12]"),
        ("seconds", -5.0, "seconds must lie in [0, 1e+09]"),
        ("seconds", 0.0, "seconds must be positive"),
        ("cpu_seconds", -5.0, "cpu_seconds must lie in [0, 1e+09]"),
        ("macs", -3, "macs must lie in [0, 1e+18]"),
        ("params", -3, "params must lie in [0, 1e+18]"),
        ("memory_mib", -3.0, "memory_mib must lie in [0, 1e+18]"),
        ("seed", -1, "seed must lie in [0, 9.22337e+18]"),
        ("epoch", 0, "epoch must lie in [1, 100000]"),
        ("epoch", 9, "epoch must be at most the 3 epochs of the metadata"),
        ("architecture", "{", "does not: "),
        ("architecture", '{"a": 1}', "does not: architecture must have"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_row(
    column: str, value: Any, law: str, good: pd.DataFrame, tmp_path: Path
) -> None:
    frame = good.copy()
    frame.loc[5, column] = value
    text = refusal(table_with(tmp_path, attributes(), frame))
    if column == "architecture":
        assert "the row of architecture" in text
        return
    assert law in text
    assert f"seed {frame['seed'][5]}, epoch {frame['epoch'][5]}" in text


def test_bytes_that_are_no_table_are_refused(tmp_path: Path, good: pd.DataFrame) -> None:
    whole = table_with(tmp_path, attributes(), good).read_bytes()
    for content in (b"", b"PAR1", whole[:-9], whole[:200] + whole[-200:], b"x" * 999):
        (tmp_path / "t.parquet").write_bytes(content)
        assert "a table must be a whole Parquet file" in refusal(tmp_path / "t.parquet")
