"""Rehearsals over a made-up table: the driver's own decisions, on a clock that only the table knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_up_tables import made_up_table
from rehearsing import Plan, plan

from nas.config.specs import Budget, Limits
from nas.tabular.simulation.scores import score
from nas.tabular.simulation.simulate import Stage, Trace, play
from nas.tabular.simulation.truth import members, truth_of
from nas.tabular.table import Table, read_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(made_up_table(tmp_path_factory.mktemp("table") / "made_up.parquet"))


def untimed(trace: Trace) -> Trace:
    return replace(trace, steps=tuple(replace(step, thinking=0.0) for step in trace.steps))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_one_seed_plays_the_same_again_and_two_play_differently(table: Table, sampler: str) -> None:
    stage = Stage(table)
    first, again, other = (untimed(play(plan(sampler, seed=seed), stage)) for seed in (3, 3, 4))
    assert first == again
    assert first.trials != other.trials
    assert Trace.from_json(first.to_json()) == first


def test_a_budget_in_trainings_is_counted_by_the_tables_mean(table: Table) -> None:
    stage = Stage(table)
    trace = play(plan(budget=Budget(trials=None, trainings=5.0)), stage)
    spent = trace.steps[-1].seconds / stage.full_training()
    assert 5.0 <= spent < 6.1
    assert trace.reason == "budget"
    assert len(trace.steps) == len(trace.trials) in {5, 6}


def test_the_seconds_are_those_of_the_trainings_that_the_search_saw(table: Table) -> None:
    for charge in ("seconds", "cpu_seconds"):
        trace = play(plan(seed=4), Stage(table, charge=charge))
        assert trace.table_seed == 1
        entries = [table.entry(trial.id) for trial in trace.trials]
        seconds = [
            sum(row.seconds for row in e.curves[1]) if charge == "seconds" else sum(e.cpu_seconds[1]) for e in entries
        ]
        assert trace.steps[-1].seconds == pytest.approx(sum(seconds))
        assert trace.steps[-1].clock == pytest.approx(sum(seconds))


def test_slots_share_the_clock_and_not_the_trainings(table: Table) -> None:
    one, four = (play(plan(budget=Budget(trials=8)), Stage(table, slots=slots)) for slots in (1, 4))
    assert four.steps[-1].seconds == pytest.approx(one.steps[-1].seconds, rel=0.2)
    assert four.steps[-1].clock < 0.4 * one.steps[-1].clock


def test_minutes_end_by_the_simulated_clock(table: Table) -> None:
    stage = Stage(table)
    minutes = 2.5 * stage.full_training() / 60
    trace = play(plan(budget=Budget(trials=None, minutes=minutes)), stage)
    assert trace.reason == "minutes"
    assert [trial.state for trial in trace.trials] == ["complete", "complete", "running"]
    assert 1 <= trace.trials[-1].epochs < 3


def test_a_space_that_is_used_up_ends_and_everything_returned_scores_like_the_seen_front(table: Table) -> None:
    stage = Stage(table)
    truth = truth_of(stage, Limits())
    trace = play(plan(budget=Budget(trials=1000)), stage)
    assert trace.reason == "exhausted"
    networks = {entry.network_id for entry in table.entries.values()}
    assert len(trace.trials) == len(networks)
    assert len({trial.id for trial in trace.trials}) == len(networks)
    assert 0.3 < score(trace, truth, 1000.0).share <= 1.0


def test_limits_hold_for_the_search_and_for_the_truth(table: Table) -> None:
    stage, limits = Stage(table), Limits(max_macs=30_000)
    trace = play(plan(limits=limits), stage)
    assert trace.counts["rejected"] > 0
    assert all(table.entry(trial.id).costs["macs"] <= 30_000 for trial in trace.trials)
    assert set(truth_of(stage, limits).points) < set(truth_of(stage, Limits()).points)
    with pytest.raises(ValueError, match="limits must leave a network of the table"):
        truth_of(stage, Limits(max_macs=1))


def test_a_stage_that_cannot_be_is_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="slots must be at least 1, got 0"):
        Stage(table, slots=0)
    with pytest.raises(ValueError, match="charge must be one of seconds, cpu_seconds, got 'money'"):
        Stage(table, charge="money")


def repeating(repeats: int, **changes: Any) -> Plan:
    return replace(plan(**changes), fidelity=replace(plan().fidelity, repeats=repeats))


def test_a_repeat_answers_with_another_seed_of_the_table(table: Table) -> None:
    stage, budget = Stage(table), Budget(trials=16)
    plain, trace = (play(repeating(repeats, budget=budget, seed=1), stage) for repeats in (0, 2))
    assert len(trace.trials) == len(plain.trials) == 16
    means = {
        name: {
            "macs": float(entry.costs["macs"]),
            "error": 1.0 - sum(entry.curves[seed][-1].val_accuracy for seed in table.seeds) / 3,
        }
        for name, entry in table.entries.items()
    }
    returned = trace.steps[-1].front
    assert set(members({name: means[name] for name in returned}, truth_of(stage, Limits()).axes)) == set(returned)
    own = sum(row.seconds for entry in table.entries.values() for row in entry.curves[1])
    others = sum(row.seconds for name in returned for s in (0, 2) for row in table.entries[name].curves[s])
    assert plain.steps[-1].seconds == pytest.approx(own)
    assert trace.steps[-1].seconds >= own + others - 1e-9


def test_a_repeat_that_changes_the_front_is_a_step_of_its_own(table: Table) -> None:
    traces = [play(repeating(2, budget=Budget(trials=16), seed=seed), Stage(table)) for seed in range(6)]
    assert any(len(trace.steps) > 16 for trace in traces)
    for trace in traces:
        seconds = [step.seconds for step in trace.steps]
        assert seconds == sorted(seconds)


def test_more_repeats_than_the_table_has_seeds_are_refused(table: Table) -> None:
    law = (
        "fidelity.repeats must be below the number of seeds of the table, each training being one of them, got 3 and 3"
    )
    with pytest.raises(ValueError, match=law):
        play(repeating(3), Stage(table))
