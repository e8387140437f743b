"""The rule that ends a search whose front does not grow any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine import AXES, SMALL, TWO, Setting, candidate, counts, curve

from nas.config.budget import Budget
from nas.search.convergence import gain_an_hour
from nas.study.belief import Believer
from nas.study.training_state import TrainingState
from nas.study.trial import Record

BELIEVER = Believer.of_measured([AXES[name] for name in TWO])


def record(number: int, accuracy: float | None, clock: float, seconds: float = 36.0) -> Record:
    values = None if accuracy is None else {"val_accuracy": accuracy, "macs": 1e4}
    rows = tuple(replace(row, seconds=seconds / 3) for row in curve(3))
    state = "pruned" if values is None else "complete"
    return Record(number, state, candidate(number), rows, TrainingState(clock=clock), values, None)


def test_the_gain_is_of_the_last_ones_by_all_seconds_since() -> None:
    records = [record(0, 0.5, 10.0), record(2, 0.7, 30.0), record(1, 0.6, 20.0), record(3, None, 25.0)]
    width = 2 / 3  # of the axis of MACs, from 1e4 to 1e6
    assert gain_an_hour(records, BELIEVER, 1) == pytest.approx(100 * width * 0.1 / 0.9 / 2)  # pruned ones count
    assert gain_an_hour(records, BELIEVER, 2) == pytest.approx(100 * width * 0.2 / 0.9 / 3)
    assert gain_an_hour(records, BELIEVER, 3) is None


def test_a_search_ends_when_it_gains_too_little(tmp_path: Path) -> None:
    eager = Setting(SMALL, budget=Budget(trials=40, min_gain=1e6, patience=5))
    assert eager.run(tmp_path / "a") == "converged"
    assert counts(tmp_path / "a") == (6, 0, 0, 0)
    assert eager.run(tmp_path / "a") == "converged"
    assert counts(tmp_path / "a") == (6, 0, 0, 0)
    assert Setting(SMALL, budget=Budget(trials=12, min_gain=1e-9, patience=11)).run(tmp_path / "b") == "budget"


def test_the_rule_is_checked() -> None:
    with pytest.raises(ValueError, match=r"budget.min_gain must be positive, got -1"):
        Budget(min_gain=-1.0)
    with pytest.raises(ValueError, match=r"budget.patience must be positive, got 0"):
        Budget(patience=0)
