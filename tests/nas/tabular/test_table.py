"""Reading and writing of a table, and the checks that refuse an incomplete or damaged one."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from synthetic_tables import attributes, rows, synthetic_table

from nas.cli.app.compose import compose
from nas.search.fingerprint import data_fingerprint
from nas.tabular.columns import COLUMNS
from nas.tabular.table import TableError, read_table, write_parquet, write_table


def test_a_table_opens_with_pandas_alone(tmp_path: Path) -> None:
    frame = pd.read_parquet(synthetic_table(tmp_path / "t.parquet"))
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 16 * 3 * 3
    assert frame.attrs == attributes()
    assert list(frame[["architecture", "seed", "epoch"]].itertuples(index=False, name=None)) == sorted(
        frame[["architecture", "seed", "epoch"]].itertuples(index=False, name=None)
    )


def test_a_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = synthetic_table(tmp_path / "t.parquet")
    table, frame = read_table(path), rows(attributes())
    assert table.hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert table.space.size == len(table.architectures) == len(table.entries) == 16
    assert (table.seeds, table.epochs) == ((0, 1, 2), 3)
    for identity, entry in table.entries.items():
        mine = frame[frame["id"] == identity]
        assert entry.architecture.id == identity
        for seed in table.seeds:
            written = mine[mine["seed"] == seed].sort_values("epoch")
            curve = table.curve(identity, seed)
            assert [row.epoch for row in curve] == [1, 2, 3]
            assert [row.val_accuracy for row in curve] == written["val_accuracy"].tolist()
            assert [row.seconds for row in curve] == written["seconds"].tolist()
            assert list(entry.test[seed]) == written["test_accuracy"].tolist()
            assert list(entry.cpu_seconds[seed]) == written["cpu_seconds"].tolist()
            assert table.curve(entry.network_id, seed) == curve
        last = mine[mine["epoch"] == 3]
        assert entry.test_accuracy == pytest.approx(last["test_accuracy"].mean(), rel=1e-12)
        assert entry.costs["macs"] == mine["macs"].iloc[0]
        assert type(entry.costs["params"]) is int
    per_training = frame.groupby(["id", "seed"])["seconds"].sum()
    assert table.mean_seconds == pytest.approx(statistics.fmean(per_training), rel=1e-12)


def test_an_absent_network_or_seed_is_refused(tmp_path: Path) -> None:
    table = read_table(synthetic_table(tmp_path / "t.parquet"))
    with pytest.raises(TableError, match="a network must be in the table, beef is not in"):
        table.entry("beef")
    with pytest.raises(TableError, match="seed must be one of 0, 1, 2, got 7"):
        table.curve(table.architectures[0].id, 7)


def without_architecture(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["architecture"] != frame["architecture"].iloc[-1]]


def with_nothing(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[7, "val_accuracy"] = float("nan")
    return frame


def with_infinity(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[7, "train_loss"] = float("inf")
    return frame


def foreign(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[7, "architecture"] = frame.loc[7, "architecture"].replace('"width":4', '"width":12')
    return frame


def mistaken(frame: pd.DataFrame) -> pd.DataFrame:
    same = frame["architecture"] == frame["architecture"].iloc[7]
    frame.loc[same, "id"] = "0123456789abcdef"
    return frame


def reordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[[*range(7), 8, 7, *range(9, len(frame))]]


WRONG: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], int, str]] = {
    "a missing architecture": (without_architecture, -9, r"holds its whole space and no more, {} must be there"),
    "a missing row": (lambda frame: frame.drop(7), 7, r"holds its whole space and no more, {} must be there"),
    "a duplicate": (lambda frame: frame.iloc[[*range(8), *range(7, len(frame))]], 7, "must be there once, {} is there"),
    "a NaN": (with_nothing, 7, "must be there and finite, {} has val_accuracy nan"),
    "an infinity": (with_infinity, 7, "must be there and finite, {} has train_loss inf"),
    "a foreign architecture": (foreign, 7, "must be of an architecture of the space made_up, {} is of another"),
    "another's id": (mistaken, 0, "an id must be its architecture's, the row of architecture 0123456789abcdef"),
    "disorder": (reordered, 8, "rows must be sorted by architecture, seed, epoch, {} is out of place"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_table_is_refused_with_the_row_named(tmp_path: Path, wrong: str) -> None:
    change, at, message = WRONG[wrong]
    frame = rows(attributes()).sort_values(["architecture", "seed", "epoch"]).reset_index(drop=True)
    row = frame.iloc[at]
    named = f"the row of architecture {row['id']}, seed {row['seed']}, epoch {row['epoch']}"
    path = tmp_path / "t.parquet"
    write_parquet(change(frame).reset_index(drop=True), attributes(), path)
    with pytest.raises(TableError, match=message.format(named) + r".*, in .*t\.parquet"):
        read_table(path)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in attributes().items() if key != name}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (without("training"), "metadata must have .*, lacks training"),
        ({**attributes(), "format": 2}, "must be of format 1, got format 2"),
        (attributes(seeds=(0, 1)), "seed 2, epoch 1 must not be there"),
        (attributes(epochs=4), "seed 0, epoch 4 must be there"),
    ],
)
def test_rows_that_do_not_fit_the_metadata_are_refused(tmp_path: Path, about: dict[str, Any], message: str) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(TableError, match=message):
        write_table(rows(attributes()), about, path)
    assert not path.exists()


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    path, frame = tmp_path / "t.parquet", rows(attributes())
    write_parquet(frame.drop(columns="test_accuracy"), attributes(), path)
    with pytest.raises(TableError, match="must have the columns"):
        read_table(path)
    write_parquet(frame.astype({"seed": "float64"}), attributes(), path)
    with pytest.raises(TableError, match="column seed must be of kind int64, got float64"):
        read_table(path)


def test_half_a_file_is_no_table(tmp_path: Path) -> None:
    path = synthetic_table(tmp_path / "t.parquet")
    content = path.read_bytes()
    for share in (0, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:share])
        with pytest.raises(TableError, match="must be a whole Parquet file"):
            read_table(path)


SHIPPED = sorted((Path(__file__).parents[3] / "benchmarks" / "tables").glob("*.parquet"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_tables_are_whole_and_of_the_experiment_of_their_name(path: Path) -> None:
    table = read_table(path)
    words = [f"experiment=table_{path.stem}", *(["data.path=elsewhere"] if path.stem != "digits" else [])]
    config = compose("tabulate", words)
    assert table.attrs["training"] == config.training.settings()
    assert {**config.space, "input": list(table.space.input), "classes": 10} == table.attrs["space"]
    images: Any = SimpleNamespace(fingerprint=table.attrs["data"]["content"])
    written = {name: value for name, value in table.attrs["data"].items() if name != "test_content"}
    assert written == data_fingerprint(config.data, images)
    assert table.seeds == (0, 1, 2)


SAMPLES = sorted((Path(__file__).parents[3] / "benchmarks" / "samples").glob("*.parquet"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_shipped_samples_are_of_the_experiment_of_their_name(path: Path) -> None:
    table = read_table(path)
    words = [f"experiment=surrogate_{path.stem}", *(["data.path=elsewhere"] if path.stem != "digits" else [])]
    config = compose("tabulate", words)
    assert table.is_sample
    assert table.attrs["training"] == config.training.settings()
    assert {**config.space, "input": list(table.space.input), "classes": 10} == table.attrs["space"]
    assert set(table.attrs["sample"]["portions"]) <= set(config.portions())
    origins = [entry.origin for entry in table.entries.values()]
    for name, count in table.attrs["sample"]["portions"].items():
        assert 0.9 * count <= origins.count(name) <= count


def test_there_are_shipped_tables() -> None:
    assert "digits" in [path.stem for path in SHIPPED]
