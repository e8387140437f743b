"""Estimate of the time left: against simulated searches whose end is known, and in closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from engine import candidate, curve

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.study.progress import Progress, Running
from nas.study.time_left import TimeLeft, full_training, share_of_trials, trainings_used
from nas.study.training_state import TrainingState
from nas.study.trial import Record, State
from nas.tabular.simulation import simulate as simulation
from nas.tabular.simulation.simulated_table import open_table

TABLE = Path(__file__).parents[3] / "benchmarks" / "tables" / "digits.parquet"
BASE = ["sampler=random", f"table={TABLE}"]


class Times:
    """A recorder of a simulation that keeps what the time left was said to be."""

    seen: ClassVar[list[tuple[float, float | None, float | None]]] = []

    def __init__(self) -> None:
        Times.seen = []
        self.snapshots: list[object] = []

    def on_progress(self, progress: Progress) -> None:
        self.seen.append((progress.clock_seconds, progress.seconds_left, progress.share_done))

    def on_trial(self, record: Record, progress: Progress) -> None:
        pass

    def on_end(self, progress: Progress, reason: str) -> None:
        self.on_progress(progress)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("slots", "words"),
    [
        (1, ["fidelity=full", "budget.trials=100"]),
        (4, ["fidelity=full", "budget.trials=100"]),
        (4, ["fidelity=full", "budget.trials=null", "budget.trainings=50"]),
        (1, ["fidelity=freeze_thaw", "budget.trials=100"]),
        (4, ["fidelity=freeze_thaw", "budget.trials=null", "budget.trainings=50"]),
    ],
    ids=lambda value: value if isinstance(value, int) else "-".join(value),
)
def test_from_half_time_on_it_is_within_30_percent(slots, words, monkeypatch):
    monkeypatch.setattr(simulation, "TraceRecorder", Times)
    config = compose("rehearse", [*BASE, *words])
    simulation.simulate(config, open_table(TABLE, slots, "seconds"))
    end, left, share = Times.seen[-1]
    assert (left, share) == (0.0, 1.0)
    later = [(end - clock, left) for clock, left, _ in Times.seen if clock >= end / 2]
    assert len(later) > 20
    for truth, said in later:
        assert said == pytest.approx(truth, rel=0.3, abs=0.04 * end), f"{truth:.1f} s were left"


def record(number: int, epochs: int, state: State = State.COMPLETE, scale: float = 1.0) -> Record:
    rows = tuple(replace(row, seconds=scale) for row in curve(epochs))
    values = {"val_accuracy": 0.5, "macs": 1.0} if state == State.COMPLETE else None
    return Record(number, state, candidate(number), rows, TrainingState(), values, None)


def test_nothing_is_known_before_the_first_epoch() -> None:
    assert TimeLeft(Budget(trials=10)).seconds([], [], 2, 5.0) is None
    assert TimeLeft(Budget(trials=10, minutes=1)).seconds([], [], 2, 5.0) == 55.0


def test_at_the_start_of_a_resumed_search_earlier_trials_give_the_pace() -> None:
    records = [record(number, 4) for number in range(5)]
    assert TimeLeft(Budget(trials=10)).seconds(records, [], 1, 20.0) == 5 * 4
    assert TimeLeft(Budget(trials=5)).seconds(records, [], 1, 20.0) == 0.0


def test_running_jobs_are_counted_to_their_ends() -> None:
    records = [record(0, 4), record(1, 1, State.RUNNING, 2.0)]
    jobs = [Running(1, 1, 4, "", 4, 0, records[1].curve)]
    assert TimeLeft(Budget(trials=2)).seconds(records, jobs, 1, 6.0) == 3 * 2.0
    fresh = [Running(1, 0, 4, "", 4, 0, ())]
    assert TimeLeft(Budget(trials=2)).seconds(records, fresh, 1, 6.0) == 4.0


def test_what_takes_time_beside_the_training_counts() -> None:
    estimator, found = TimeLeft(Budget(trials=200)), 0.0
    for number in range(1, 101):  # a trial of 4 s begins every 6 s
        records = [record(each, 4) for each in range(number)]
        found = estimator.seconds(records, [], 1, 6.0 * number) or 0.0
    assert found == pytest.approx(99 * 6 + 4, rel=0.05)


def test_trainings_are_counted_in_full_ones() -> None:
    records = [record(0, 4), record(1, 4), record(2, 2, State.PRUNED)]
    assert full_training(records, Budget()) == 4.0
    assert trainings_used(records, Budget()) == 2.5
    assert trainings_used(records, Budget(training_seconds=2.0)) == 5.0
    assert trainings_used([], Budget()) == 0.0
    left = TimeLeft(Budget(trials=None, trainings=5)).seconds(records, [], 2, 0.0)
    assert left == pytest.approx(2.5 * 4 / 2 + 10 / 3 * 2 / 3, rel=0.2)


def test_the_share_of_trials_counts_ended_ones_whole_and_running_ones_by_their_epochs() -> None:
    states = [State.COMPLETE, State.PRUNED, State.FAILED, State.RUNNING]
    records = [
        Record(number, state, candidate(number), curve(3), TrainingState(), None, None)
        for number, state in enumerate(states)
    ]
    assert share_of_trials(records, 10) == pytest.approx(0.2)
    assert share_of_trials(records, 10, epochs=12) == pytest.approx(0.225)
    assert share_of_trials(records, 1) == 1.0
    elsewhere = replace(records[0], candidate=replace(records[0].candidate, imported=True))
    assert share_of_trials([elsewhere], 10) == 0.0
