"""Agreement of a simulated search with a real one of the same seed, on a table that was really trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas.cli import main
from nas.cli.app.compose import compose
from nas.study.study import open_study
from nas.tabular.simulation.simulate import simulate
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.table import Table, read_table

SPACE = """
name: few
stem: {width: [2, 4]}
stages:
  - depth: 1
    block: {branches: {k1: {width: [0, 2]}, k3: {width: [2, 4], factorization: [full, separable]}}}
"""  # 16 networks
DATA = ["data=digits", "data.train_fraction=0.2", "training.epochs=2", "workers.slots=1", "space=few"]
TRIALS = 12


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    folder = tmp_path_factory.mktemp("few")
    (folder / "space").mkdir()
    (folder / "space" / "few.yaml").write_text(SPACE)
    output = folder / "few.parquet"
    assert (
        main(["tabulate", f"--config-dir={folder}", *DATA, "seeds=2", "early_test_images=10", f"output={output}"]) == 0
    )
    return read_table(output)


@pytest.mark.parametrize(
    ("sampler", "fidelity", "seed"),
    [
        ("random", "full", 0),
        pytest.param("tpe", "full", 1, marks=pytest.mark.slow),
        pytest.param("evolution", "first_epoch", 1, marks=pytest.mark.slow),
    ],
)
def test_both_train_the_same_networks_in_the_same_order_for_the_same_epochs(
    table: Table, tmp_path: Path, sampler: str, fidelity: str, seed: int
) -> None:
    words = [f"sampler={sampler}", f"fidelity={fidelity}", f"seed={seed}", f"budget.trials={TRIALS}"]
    if fidelity == "first_epoch":
        words.append("fidelity.options={cohort: 4, best: 2}")
    if sampler == "evolution":
        words.append("sampler.options={population: 3, tournament: 2}")
    if sampler == "tpe":
        words.append("sampler.options.n_startup_trials=3")
    study = tmp_path / "study"
    folder = table.path.parent
    assert main(["search", f"--config-dir={folder}", *DATA, *words, "tracking=none", f"study={study}"]) == 0
    real = open_study(study).records()
    config = replace(compose("rehearse", words), budget=compose("search", words).budget)
    trace = simulate(config, SimulatedTable(table))
    assert [(r.candidate.id, r.state, len(r.curve)) for r in real] == [
        (trial.id, trial.state, trial.epochs) for trial in trace.trials
    ]
    assert len(real) == TRIALS
    for record in real:
        seen = table.curve(record.candidate.id, seed)[: len(record.curve)]
        assert [row.val_accuracy for row in record.curve] == [row.val_accuracy for row in seen]
