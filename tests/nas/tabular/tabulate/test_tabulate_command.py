"""`nas tabulate`: complete tables, killed runs and mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from nas.cli import main
from nas.tabular.table import read_table

PATIENCE = 120.0
SPACE = """
name: few
stem: {width: 4}
stages:
  - depth: 1
    block: {branches: {k3: {width: 4, reduction: [none, 0.25, 0.3], factorization: [full, separable]}}}
"""  # six architectures, four networks
SETTINGS = ["data=digits", "data.train_fraction=0.3", "space=few", "training.epochs=3", "workers.slots=1", "seeds=2"]
FLOATS = ["train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy", "test_accuracy", "seconds", "cpu_seconds"]


def words(folder: Path, *more: str) -> list[str]:
    (folder / "space").mkdir(exist_ok=True)
    (folder / "space" / "few.yaml").write_text(SPACE)
    output = folder / "few.parquet"
    return ["tabulate", f"--config-dir={folder}", *SETTINGS, f"output={output}", "early_test_images=100", *more]


def finished(parts: Path) -> dict[tuple[str, int], list[dict[str, float]]]:
    """Return the rows of all complete trainings, in shards or not."""
    found = {}
    for path in parts.glob("trainings/*/rows.json"):
        rows = json.loads(path.read_text())["rows"]
        network, _, seed = path.parent.name.rpartition("-")
        if len(rows) == 3:
            found[network, int(seed)] = [{name: row[name] for name in FLOATS} for row in rows]
    for path in parts.glob("shards/*.parquet"):
        for (network, seed), rows in pd.read_parquet(path).groupby(["network_id", "seed"]):
            found[network, int(seed)] = rows[FLOATS].to_dict("records")
    return found


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "nas", *words(folder)], stderr=subprocess.DEVNULL)


def wait_for_trainings(parts: Path, process: subprocess.Popen[bytes], count: int) -> None:
    until = time.monotonic() + PATIENCE
    while len(finished(parts)) < count:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_killed_run_resumes_without_repeating_a_training(tmp_path: Path, number: signal.Signals) -> None:
    parts = tmp_path / "few.parquet.parts"
    process = start(tmp_path)
    wait_for_trainings(parts, process, 2)
    os.kill(process.pid, number)
    assert process.wait(PATIENCE) == (143 if number == signal.SIGTERM else -number)
    assert not (tmp_path / "few.parquet").exists()
    before = finished(parts)
    assert 2 <= len(before) < 8
    assert main(words(tmp_path)) == 0
    after = finished(parts)
    assert len(after) == 8
    for training, rows in before.items():
        assert after[training] == rows, "seconds are measured: only a training that was not repeated has them equal"
    table = read_table(tmp_path / "few.parquet")
    assert (len(table.entries), len({entry.network_id for entry in table.entries.values()})) == (6, 4)
    for (network, seed), rows in after.items():
        assert [row.seconds for row in table.curve(network, seed)] == [row["seconds"] for row in rows]


@pytest.mark.slow
def test_more_seeds_are_added_and_another_recipe_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words(tmp_path, "seeds=1", "format=json")) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["architectures"] == 6
    assert document["networks"] == 4
    first = finished(tmp_path / "few.parquet.parts")
    network, seed = next(iter(first))
    left = tmp_path / "few.parquet.parts" / "trainings" / f"{network}-{seed}"
    left.mkdir()  # as if a run had died between writing a shard and clearing up
    (left / "rows.json").write_text('{"rows": []}')
    assert main(words(tmp_path)) == 0
    later = finished(tmp_path / "few.parquet.parts")
    assert list((tmp_path / "few.parquet.parts" / "trainings").iterdir()) == []
    assert len(first) == 4
    assert len(later) == 8
    assert {training: later[training] for training in first} == first
    attributes = pd.read_parquet(tmp_path / "few.parquet").attrs
    assert attributes["seeds"] == [0, 1]
    assert attributes["test_images"] == attributes["split"]["test"] == 359
    assert attributes["early_test_images"] == 100
    capfd.readouterr()
    assert main(words(tmp_path, "training.learning_rate=0.1")) == 2
    assert "must share one recipe, the row of network" in capfd.readouterr().err
    assert main(words(tmp_path, "seeds=0")) == 2
    assert "seeds must be at least 1, got 0" in capfd.readouterr().err


SAMPLED = ["data=digits", "data.train_fraction=0.2", "space=quick", "training.epochs=2", "workers.slots=1", "seeds=1"]
PORTIONS = ["sample=8", "spread=0.25", "strategies=[tpe,known_cost]", "strategy=0.25", "again=0.5"]


@pytest.mark.slow
def test_a_sample_has_its_portions_and_second_seeds_and_grows_without_repeating_a_training(tmp_path: Path) -> None:
    output = tmp_path / "sample.parquet"
    given = ["tabulate", *SAMPLED, f"output={output}", "early_test_images=100"]
    assert main([*given, "sample=4", "spread=0.5", "strategies=[]", "again=0.5"]) == 0
    first = read_table(output)
    assert main([*given, *PORTIONS]) == 0
    table = read_table(output)
    assert table.attrs["sample"]["portions"] == {"random": 2, "spread": 2, "tpe": 2, "known_cost": 2}
    origins = [entry.origin for entry in table.entries.values()]
    assert sorted(origins) == sorted(["random", "spread", "tpe", "known_cost"] * 2)
    again = [entry.origin for entry in table.entries.values() if set(entry.curves) == {0, 1}]
    assert sorted(again) == sorted(["random", "spread", "tpe", "known_cost"])
    for name, entry in first.entries.items():
        assert table.entries[name].cpu_seconds == entry.cpu_seconds, "measured: equal only if it was not repeated"
    before = table.path.read_bytes()
    assert main([*given, *PORTIONS]) == 0
    assert table.path.read_bytes() == before
    assert list((tmp_path / "sample.parquet.parts" / "trainings").iterdir()) == []


def test_a_strategy_must_be_a_sampler(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["tabulate", *SAMPLED, "sample=8", "strategies=[tpee]", f"output={tmp_path / 's.parquet'}"]) == 2
    assert "sampler must be one of" in capfd.readouterr().err
