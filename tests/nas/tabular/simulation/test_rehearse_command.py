"""`nas rehearse`, the process pool of simulated searches, and the cache of their traces."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from strategies import strategy
from synthetic_tables import synthetic_table

from nas.cli import main
from nas.config.budget import Budget
from nas.tabular.simulation import cache, pool
from nas.tabular.simulation.cache import TraceCache
from nas.tabular.simulation.document import horizon_of
from nas.tabular.simulation.pool import SimulationPool
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.table import read_table

Rehearse = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_table(tmp_path_factory.mktemp("table") / "table.parquet")


@pytest.fixture
def said(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that simulates three searches and returns the output."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        assert main(["rehearse", f"table={table}", "seeds=3", "budget.trainings=8", "workers.slots=1", *words]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def document(said: Callable[..., str]) -> Rehearse:
    return lambda *words: json.loads(said("format=json", "plot=null", *words))


@pytest.mark.parametrize("sampler", ["random", "evolution", "tpe"])
def test_one_seed_gives_equal_documents_and_two_seeds_different_ones(said: Callable[..., str], sampler: str) -> None:
    words = ["format=json", "plot=null", f"sampler={sampler}"]
    first, again = said(*words, "seed=7"), said(*words, "seed=7")
    assert first == again
    other = json.loads(said(*words, "seed=8"))
    assert [r["trained"] for r in other["rehearsals"]] != [r["trained"] for r in json.loads(first)["rehearsals"]]
    assert other["rehearsals"][0] == json.loads(first)["rehearsals"][1]


def test_a_document_holds_bounds_trials_and_shares(document: Rehearse, table: Path) -> None:
    found = document("sampler=random", "fidelity=first_epoch", "fidelity.options={cohort: 4, best: 1}")
    assert found["table"]["architectures"] == 16
    assert found["horizon"] == 8.0
    assert 0.99 < found["oracle"]["share"] <= 1.0  # the horizon leaves out the last members of the front
    assert found["near"]["oracle"]["share"] == pytest.approx(1.0)
    assert 0.5 < found["ceiling"] <= 1.0
    truth = {point["id"]: point for point in found["true_front"]}
    entries = read_table(table).entries
    assert all(point["error"] == 1 - entries[name].test_accuracy for name, point in truth.items())
    for search in found["rehearsals"]:
        assert search["table_seed"] == search["seed"] % 3
        assert {epochs for _, epochs in search["trained"]} == {1, 3}
        assert search["trials"]["pruned"] > search["trials"]["complete"] > 0
        assert set(search["returned"]) <= {name for name, epochs in search["trained"] if epochs == 3}
        assert search["share"] == search["curve"][-1][1]
    median = sorted(search["share"] for search in found["rehearsals"])[1]
    assert found["summary"]["share"]["median"] == median


def test_a_terminal_table_a_picture_and_csv_rows(said: Callable[..., str], tmp_path: Path) -> None:
    shown = said("sampler=random", "fidelity=full", "thinking=true")
    assert "random, full" in shown
    assert "oracle" in shown
    assert (tmp_path / "rehearsal.png").stat().st_size > 10_000
    rows = list(csv.DictReader(io.StringIO(said("sampler=random", "format=csv", "plot=null"))))
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    assert all(0 < float(row["share"]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table=null"], "table=FILE must say which table"),
        (["table=absent.parquet"], "table must be a file that can be read, got absent.parquet: No such file"),
        (["thinking=true", "format=json"], "format=json holds nothing that a real clock says"),
        (["seeds=0"], "seeds must be at least 1, got 0"),
        (["slots=0"], "slots must be at least 1, got 0"),
        (["charge=money"], "charge must be one of seconds, cpu_seconds, got 'money'"),
        (["limits.max_macs=1"], "limits must leave a network of the table"),
        (["fidelity=first_epoch", "fidelity.options={epochs: 3}"], "below training.epochs=3, got 3"),
        (["fidelity=inherit"], "a simulated search must train from fresh weights, as tables record trainings, got"),
    ],
)
def test_a_mistake_is_explained_in_one_line(
    table: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"table={table}", "plot=null", "workers.slots=1", *words]
    assert main(["rehearse", *given]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


@pytest.mark.slow
def test_worker_processes_give_the_same_traces_as_one(table: Path) -> None:
    simulated = SimulatedTable(read_table(table))
    strategies = [strategy(seed=seed) for seed in range(4)]
    pooled, alone = (dict(SimulationPool(processes).simulate(strategies, simulated)) for processes in (2, 1))
    assert [pooled[i].trials for i in range(4)] == [alone[i].trials for i in range(4)]
    assert [pooled[i].snapshots[-1].front for i in range(4)] == [alone[i].snapshots[-1].front for i in range(4)]


def test_a_cached_trace_is_not_simulated_again(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated, seeds = SimulatedTable(read_table(table)), []
    real = pool.simulate

    def counted(strategy: Any, simulated: SimulatedTable) -> Any:
        seeds.append(strategy.seed)
        return real(strategy, simulated)

    monkeypatch.setattr(pool, "simulate", counted)
    search_pool = SimulationPool(1, TraceCache(tmp_path / "cache"))
    strategies = [strategy(seed=seed) for seed in range(3)]
    first = dict(search_pool.simulate(strategies[:2], simulated))
    again = dict(search_pool.simulate(strategies, simulated))
    assert seeds == [0, 1, 2]
    assert {index: again[index] for index in first} == first
    dict(search_pool.simulate([replace(strategies[0], budget=Budget(trials=2))], simulated))
    dict(search_pool.simulate(strategies[:1], replace(simulated, slots=2)))
    assert seeds == [0, 1, 2, 0, 0]
    monkeypatch.setattr(cache, "version", lambda modules: "another")
    dict(search_pool.simulate(strategies[:1], simulated))
    assert seeds == [0, 1, 2, 0, 0, 0]


def test_the_version_covers_the_modules_that_are_imported() -> None:
    table = SimulatedTable.__module__
    plain = cache.imported((cache.SIMULATE_MODULE, table, "nas.fidelity.full"))
    assert {
        "nas.search.driver",
        "nas.search.proposer",
        "nas.samplers.view",
        "nas.tabular.table",
        "search_space.space",
    } <= set(plain)
    assert not {"nas.samplers.evolution", "nas.fidelity.first_epoch", "nas.cli.rehearse"} & set(plain)
    assert all(path.is_file() for path in plain.values())
    evolved = cache.imported((cache.SIMULATE_MODULE, table, "nas.fidelity.full", "nas.samplers.evolution"))
    assert set(evolved) - set(plain) == {"nas.samplers.evolution"}
    versions = {
        cache.version((cache.SIMULATE_MODULE, f"nas.fidelity.{name}")) for name in ("full", "full", "first_epoch")
    }
    assert len(versions) == 2


def test_the_horizon_is_the_first_end_of_the_budget(table: Path) -> None:
    simulated = SimulatedTable(read_table(table), slots=2)
    minutes = 5 * simulated.full_training() / 60 / 2
    assert horizon_of(Budget(trials=9, trainings=7.0), simulated) == 7.0
    assert horizon_of(Budget(trials=4, trainings=7.0), simulated) == 4.0
    assert horizon_of(Budget(trials=9, minutes=minutes), simulated) == pytest.approx(5.0)
