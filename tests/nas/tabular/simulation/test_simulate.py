"""Simulated searches over a synthetic table: decisions of the real driver on a simulated clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from strategies import SearchStrategy, strategy
from synthetic_tables import synthetic_table

from nas.config.budget import Budget
from nas.objectives.limits import Limits
from nas.tabular.simulation.scores import score
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.simulation.trace import SearchTrace
from nas.tabular.simulation.truth import truth_of
from nas.tabular.table import Table, read_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(synthetic_table(tmp_path_factory.mktemp("table") / "table.parquet"))


def untimed(trace: SearchTrace) -> SearchTrace:
    return replace(trace, snapshots=tuple(replace(snapshot, driver_seconds=0.0) for snapshot in trace.snapshots))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_equal_seeds_give_equal_traces_and_others_different_ones(table: Table, sampler: str) -> None:
    simulated = SimulatedTable(table)
    first, again, other = (untimed(simulate(strategy(sampler, seed=seed), simulated)) for seed in (3, 3, 4))
    assert first == again
    assert first.trials != other.trials
    assert SearchTrace.from_json(first.to_json()) == first


def test_a_budget_in_trainings_counts_the_tables_mean_training(table: Table) -> None:
    simulated = SimulatedTable(table)
    trace = simulate(strategy(budget=Budget(trials=None, trainings=5.0)), simulated)
    spent = trace.snapshots[-1].training_seconds / simulated.full_training()
    assert 5.0 <= spent < 6.1
    assert trace.reason == "budget"
    assert len(trace.snapshots) == len(trace.trials) in {5, 6}


def test_charged_seconds_are_those_of_the_trainings_seen(table: Table) -> None:
    for charge in ("seconds", "cpu_seconds"):
        trace = simulate(strategy(seed=4), SimulatedTable(table, charge=charge))
        assert trace.table_seed == 1
        entries = [table.entry(trial.id) for trial in trace.trials]
        seconds = [
            sum(row.seconds for row in e.curves[1]) if charge == "seconds" else sum(e.cpu_seconds[1]) for e in entries
        ]
        assert trace.snapshots[-1].training_seconds == pytest.approx(sum(seconds))
        assert trace.snapshots[-1].clock_seconds == pytest.approx(sum(seconds))


def test_slots_shorten_the_clock_and_not_the_training(table: Table) -> None:
    one, four = (simulate(strategy(budget=Budget(trials=8)), SimulatedTable(table, slots=slots)) for slots in (1, 4))
    assert four.snapshots[-1].training_seconds == pytest.approx(one.snapshots[-1].training_seconds, rel=0.2)
    assert four.snapshots[-1].clock_seconds < 0.4 * one.snapshots[-1].clock_seconds


def test_a_budget_in_minutes_ends_by_the_simulated_clock(table: Table) -> None:
    simulated = SimulatedTable(table)
    minutes = 2.5 * simulated.full_training() / 60
    trace = simulate(strategy(budget=Budget(trials=None, minutes=minutes)), simulated)
    assert trace.reason == "minutes"
    assert [trial.state for trial in trace.trials] == ["complete", "complete", "running"]
    assert 1 <= trace.trials[-1].epochs < 3


def test_an_exhausted_space_ends_the_search(table: Table) -> None:
    simulated = SimulatedTable(table)
    truth = truth_of(simulated, Limits())
    trace = simulate(strategy(budget=Budget(trials=1000)), simulated)
    assert trace.reason == "exhausted"
    networks = {entry.network_id for entry in table.entries.values()}
    assert len(trace.trials) == len(networks)
    assert len({trial.id for trial in trace.trials}) == len(networks)
    assert 0.3 < score(trace, truth, 1000.0).share <= 1.0


def test_limits_apply_to_the_search_and_to_the_ground_truth(table: Table) -> None:
    simulated, limits = SimulatedTable(table), Limits(max_macs=30_000)
    trace = simulate(strategy(limits={"max_macs": 30_000}), simulated)
    assert trace.counts["rejected"] > 0
    assert all(table.entry(trial.id).costs["macs"] <= 30_000 for trial in trace.trials)
    assert set(truth_of(simulated, limits).points) < set(truth_of(simulated, Limits()).points)
    with pytest.raises(ValueError, match="limits must leave a network of the table"):
        truth_of(simulated, Limits(max_macs=1))


def test_wrong_slots_and_charges_are_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="slots must be at least 1, got 0"):
        SimulatedTable(table, slots=0)
    with pytest.raises(ValueError, match="charge must be one of seconds, cpu_seconds, got 'money'"):
        SimulatedTable(table, charge="money")


def repeating(repeats: int, **changes: Any) -> SearchStrategy:
    return replace(strategy(**changes), fidelity=replace(strategy().fidelity, repeats=repeats))


def test_a_repeat_has_another_seed_of_the_table(table: Table) -> None:
    simulated, budget = SimulatedTable(table), Budget(trials=16)
    plain, trace = (simulate(repeating(repeats, budget=budget, seed=1), simulated) for repeats in (0, 2))
    assert len(trace.trials) == len(plain.trials) == 16
    returned = trace.snapshots[-1].front
    own = sum(row.seconds for entry in table.entries.values() for row in entry.curves[1])
    others = sum(row.seconds for name in returned for s in (0, 2) for row in table.entries[name].curves[s])
    assert plain.snapshots[-1].training_seconds == pytest.approx(own)
    assert trace.snapshots[-1].training_seconds >= own + others - 1e-9


def test_a_repeat_that_changes_the_front_takes_a_snapshot(table: Table) -> None:
    traces = [simulate(repeating(2, budget=Budget(trials=16), seed=seed), SimulatedTable(table)) for seed in range(6)]
    assert any(len(trace.snapshots) > 16 for trace in traces)
    for trace in traces:
        seconds = [snapshot.training_seconds for snapshot in trace.snapshots]
        assert seconds == sorted(seconds)


def test_more_repeats_than_the_table_has_seeds_are_refused(table: Table) -> None:
    law = (
        "fidelity.repeats must be below the number of seeds of the table, each training being one of them, got 3 and 3"
    )
    with pytest.raises(ValueError, match=law):
        simulate(repeating(3), SimulatedTable(table))
