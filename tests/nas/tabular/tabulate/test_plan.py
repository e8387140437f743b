"""Plan of a table: equal networks are trained once, and every architecture has its rows."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from engine import SMALL, space_of

from nas.search.proposer import training_seed
from nas.tabular.columns import COLUMNS, SCORES, TableError
from nas.tabular.tabulate.plan import enumerate_architectures, join_rows, training_tasks
from nas.tabular.tabulate.sample import Member

SAME: dict[str, Any] = {  # the two ratios leave one channel each: three architectures, two networks
    "name": "same",
    "stem": {"width": 4},
    "stages": [{"depth": 1, "block": {"branches": {"k3": {"width": 4, "reduction": ["none", 0.25, 0.3]}}}}],
}


def test_equal_networks_are_trained_once_a_seed(tmp_path: Path) -> None:
    known = enumerate_architectures(space_of(SAME))
    tasks = training_tasks(product(known, range(2)), 5, tmp_path)
    assert len(known) == 3
    assert len({each.network_id for each in known}) == 2
    assert sorted((task.network_id, task.table_seed) for task in tasks) == sorted(
        {(each.network_id, seed) for each in known for seed in (0, 1)}
    )
    assert [task.number for task in tasks] == [0, 1, 2, 3]
    assert len({task.folder for task in tasks}) == len({task.number for task in tasks}) == 4
    assert all(task.seed == training_seed(task.table_seed, task.network_id) for task in tasks)
    assert all(task.architecture in [each.architecture.to_json() for each in known] for task in tasks)


def test_every_architecture_has_the_rows_of_its_network(tmp_path: Path) -> None:
    known = enumerate_architectures(space_of(SAME))
    rows = pd.DataFrame(
        [
            {"network_id": task.network_id, "seed": task.table_seed, "epoch": 1, **dict.fromkeys(SCORES, task.number)}
            for task in training_tasks(product(known, range(3)), 1, tmp_path)
        ]
    )
    wanted = {(each.network_id, seed) for each in known for seed in (0, 1)}
    table = join_rows([Member(each) for each in known], rows, wanted)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 3 * 2
    assert set(table["seed"]) == {0, 1}
    for each in known:
        mine = table[table["id"] == each.architecture.id]
        assert set(mine["network_id"]) == {each.network_id}
        assert set(mine["macs"]) == {each.costs["macs"]}
        expected = rows[(rows["network_id"] == each.network_id) & (rows["seed"] < 2)]["val_accuracy"]
        assert sorted(mine["val_accuracy"]) == sorted(expected)


def test_a_space_that_is_too_large_is_refused() -> None:
    large = {**SMALL, "stages": SMALL["stages"] * 3}  # type: ignore[operator]  # a list of stages
    with pytest.raises(TableError, match="must have at most 20,000 architectures, small has "):
        enumerate_architectures(space_of(large))
