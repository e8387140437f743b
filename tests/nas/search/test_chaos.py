"""A search whose children and driver are killed again and again ends like a calm one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from storm import Storm, came_of

from nas.study.summary import open_for_reading

SHORT = Storm(trials=10, slots=2, epochs=3, every=1.0, drivers=1, words=("data.train_fraction=0.5",))
LONG = Storm(trials=40, slots=4, epochs=6, every=2.0, drivers=3)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
@pytest.mark.parametrize("storm", [SHORT, pytest.param(LONG, marks=pytest.mark.timeout(1800))], ids=["short", "long"])
def test_a_search_under_fire_ends_like_a_calm_one(tmp_path: Path, storm: Storm) -> None:
    began = time.monotonic()
    kills = storm.rage(tmp_path, "storm")
    took = time.monotonic() - began
    assert kills["child"] >= 1
    assert kills["driver"] == storm.drivers
    status = open_for_reading(tmp_path / "storm").status_document()
    print(f"killed in {took:.0f} s: {dict(kills)}; retries by kind: {status['retries']}")
    ended = {name: number for name, number in status["trials"].items() if name != "duplicates"}
    assert ended == {"complete": storm.trials, "pruned": 0, "failed": 0, "running": 0, "frozen": 0, "rejected": 0}
    assert not status["driven"]
    stormy = came_of(tmp_path / "storm")
    assert len({network for network, _ in stormy}) == storm.trials
    assert all(len(curve) == storm.epochs for _, curve in stormy)
    assert storm.start(tmp_path, "calm").wait() == 0, (tmp_path / "calm.txt").read_text()
    assert stormy == came_of(tmp_path / "calm")
