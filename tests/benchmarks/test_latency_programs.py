"""Scores of the programs about latency, on measurements and networks whose figures are known."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import latency_predictor
import latency_repeats
import latency_search
import numpy as np
import pytest

from nas.objectives.pareto import Axis
from search_space.cost import cost


def pair(ratio: float, low: float, high: float) -> dict[str, Any]:
    return {"networks": [{}, {"ratio": {"ratio": ratio, "low": low, "high": high}}]}


def test_an_order_is_wrong_undecided_or_decided_wrongly() -> None:
    pairs = [pair(1.5, 1.4, 1.6), pair(1.1, 0.9, 1.2), pair(0.95, 0.9, 1.1), pair(0.8, 0.7, 0.9)]
    assert latency_repeats.order(pairs) == ("1.025", "2 of 4", "2", "1")
    alone = {"base": [{"median_ms": 1.0}, {"median_ms": 3.0}], "1.5": [{"median_ms": 2.0}]}
    assert latency_repeats.by_themselves(alone, "1.5") == "1 of 2"


def test_an_interval_holds_if_it_has_the_median_of_all_measurements() -> None:
    found = [{"median_ms": ms, "low_ms": ms - 0.5, "high_ms": ms + 0.5} for ms in (1.0, 1.2, 3.0)]
    (row,) = latency_repeats.intervals({"base": found})
    assert row[:3] == ("base", "1.2", "2 of 3")


def test_the_ladder_has_the_ratios_of_its_lengths() -> None:
    macs = {name: cost(latency_repeats.network(length)).macs for name, length in latency_repeats.LENGTHS.items()}
    assert macs["1.5"] / macs["base"] == pytest.approx(1.5, rel=1e-3)
    assert macs["1.1"] / macs["base"] == pytest.approx(1.1, rel=1e-3)


def test_measurements_that_a_file_has_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def fake(*_: object) -> dict[str, Any]:
        made.append(1)
        return {"networks": [], "steady": True}

    monkeypatch.setattr(latency_repeats, "measure_networks", fake)
    arguments = argparse.Namespace(runtime="torch", seconds=1.0, rows=tmp_path / "rows.jsonl")
    for _ in range(2):
        rows = latency_repeats.rows_of(arguments.rows)
        assert latency_repeats.measured("torch:1:alone:base:3", ["base"], arguments, rows)["steady"]
    with arguments.rows.open("a") as file:
        file.write('{"key": "cut')
    assert len(latency_repeats.rows_of(arguments.rows)) == len(made) == 1


def test_a_power_law_of_one_cost_is_fitted_on_the_other_networks() -> None:
    graphs = [latency_repeats.network(length) for length in (1, 2, 4, 8, 16)]
    times = np.array([float(cost(graph).macs) ** 0.5 for graph in graphs])
    found = latency_predictor._by_one("macs", graphs[:4], times[:4], graphs[4:], np.array([1.0]))
    assert found == pytest.approx(times[4:])


def test_networks_beyond_the_limit_do_not_count() -> None:
    axes = [Axis("val_accuracy", "maximize", False, 1.0, 0.0), Axis("latency_ms", "minimize", True, 1.0, 4.0)]
    inside = {"val_accuracy": 0.5, "median_ms": 2.0}
    beyond = {"val_accuracy": 0.9, "median_ms": 4.5}
    assert latency_search.score([inside, beyond], 4.0, axes) == pytest.approx(0.25)
    assert latency_search.score([beyond], 4.0, axes) == 0.0


def test_measured_fronts_of_a_seed_are_kept(tmp_path: Path) -> None:
    fronts = {"latency": [{"trial": 1, "median_ms": 2.0}], "macs": []}
    (tmp_path / "measured_0_3.json").write_text(json.dumps(fronts))
    options = latency_search.LatencyOptions()
    setting = latency_search.Setting((), 1, 1, options, 1.0, tmp_path)
    assert latency_search.measured(0, 3.0, setting) == fronts
