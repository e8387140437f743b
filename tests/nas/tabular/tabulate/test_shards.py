"""Shards of a table: complete or absent, and of one recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nas.tabular.columns import SCORES, TableError
from nas.tabular.tabulate.shards import Shards

RECIPE = {"training": {"epochs": 2}, "space": {"name": "s"}}
HERE = {"device": "cpu", "environment": {"python": "3.11"}}


def training(network: str, seed: int, epochs: int = 2) -> list[dict[str, Any]]:
    scores = dict.fromkeys(SCORES, 0.5)
    return [{"network_id": network, "seed": seed, "epoch": epoch, **scores} for epoch in range(1, epochs + 1)]


def shards(folder: Path, recipe: Mapping[str, Any] = RECIPE, here: Mapping[str, Any] = HERE) -> Shards:
    return Shards(folder, recipe, here)


def test_added_trainings_are_read_again(tmp_path: Path) -> None:
    first = shards(tmp_path)
    assert first.finished(2) == set()
    first.add([*training("a", 0), *training("b", 0)])
    first.add(training("a", 1))
    again = shards(tmp_path)
    assert again.finished(2) == first.finished(2) == {("a", 0), ("b", 0), ("a", 1)}
    again.add(training("b", 1))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [f"00000{n}.parquet" for n in (1, 2, 3)]
    assert len(shards(tmp_path).frame) == 8


def test_device_and_environment_of_rows_are_kept(tmp_path: Path) -> None:
    shards(tmp_path).add(training("a", 0))
    other = {**HERE, "device": "another"}
    shards(tmp_path, here=other).add(training("b", 0))
    assert shards(tmp_path).made_on == [HERE, other]


def test_a_half_written_shard_is_removed(tmp_path: Path) -> None:
    shards(tmp_path).add(training("a", 0))
    part = tmp_path / ".000002.parquet.part"
    part.write_bytes((tmp_path / "000001.parquet").read_bytes()[:100])
    assert shards(tmp_path).finished(2) == {("a", 0)}
    assert not part.exists()


def test_a_damaged_shard_is_refused(tmp_path: Path) -> None:
    shards(tmp_path).add(training("a", 0))
    path = tmp_path / "000001.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TableError, match=r"whole Parquet file, .*000001\.parquet is not; without it its trainings"):
        shards(tmp_path)


def test_rows_of_another_recipe_are_refused_by_name(tmp_path: Path) -> None:
    shards(tmp_path).add(training("a", 0))
    with pytest.raises(
        TableError,
        match=r"the row of network a, seed 0, epoch 1 in .*000001\.parquet does not: training\.epochs is 2 there and 3",
    ):
        shards(tmp_path, recipe={**RECIPE, "training": {"epochs": 3}})


def test_half_a_training_and_the_same_one_twice_are_refused_by_name(tmp_path: Path) -> None:
    half = shards(tmp_path / "half")
    half.add([*training("a", 0), *training("b", 1)[:1]])
    with pytest.raises(TableError, match="must have all 2 epochs, those of network b, seed 1 lack some"):
        half.finished(2)
    twice = shards(tmp_path / "twice")
    twice.add(training("a", 0))
    twice.add([*training("b", 0), *training("a", 0)])
    with pytest.raises(TableError, match="the row of network a, seed 0, epoch 1 is there again"):
        twice.finished(2)


def test_a_value_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    rows = training("a", 0)
    rows[1]["val_loss"] = float("nan")
    shards(tmp_path).add(rows)
    with pytest.raises(TableError, match=r"the row of network a, seed 0, epoch 2 in .* lacks one"):
        shards(tmp_path)
