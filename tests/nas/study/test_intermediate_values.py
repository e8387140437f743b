"""Intermediate values: Optuna's curves of a study with one objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from engine import OBJECTIVES, candidate, curve, fingerprint, row

from nas.cli.app.compose import compose
from nas.jobs import Curve
from nas.objectives.values import objective_values
from nas.reports.dashboard import StudyCopy
from nas.search import build
from nas.study.checked import DamageError
from nas.study.storage.memory import MemoryStore
from nas.study.storage.store import Store
from nas.study.stored_trial import curve_of
from nas.study.study import Study, create_study, open_study
from nas.study.training_state import TrainingState


def study_of(folder: Path, *objectives: str, store: Store | None = None) -> Study:
    study = create_study(folder, fingerprint(objectives), store)
    study.report_epochs(partial(objective_values, [OBJECTIVES[name] for name in objectives]))
    return study


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_optuna_has_the_objective_after_every_epoch(tmp_path: Path, kind: str) -> None:
    study = study_of(tmp_path, "val_accuracy", store=MemoryStore() if kind == "memory" else None)
    for number in range(2):
        study.add(candidate(number))
    rising = tuple(row(epoch, 0.2 * epoch) for epoch in (1, 2, 3))
    study.store_training(0, rising[:2], TrainingState())
    study.store_training(0, rising, TrainingState())  # those stored before, once more
    study.tell(0, {"val_accuracy": 0.6})
    one, other = study.as_optuna().trials
    assert one.intermediate_values == {1: 0.2, 2: 0.4, 3: pytest.approx(0.6)}
    assert other.intermediate_values == {}


def test_epochs_without_validation_have_no_value(tmp_path: Path) -> None:
    study = study_of(tmp_path, "val_accuracy")
    study.add(candidate())
    blank = replace(row(1, 0.5), val_loss=None, val_accuracy=None, val_balanced_accuracy=None)
    study.store_training(0, (blank, row(2, 0.75)), TrainingState())
    assert study.as_optuna().trials[0].intermediate_values == {2: 0.75}
    assert open_study(tmp_path).records()[0].curve == (blank, row(2, 0.75))


@pytest.mark.parametrize("key", ["val_loss", "val_accuracy", "val_balanced_accuracy", "train_loss", "seconds"])
def test_half_a_validation_is_no_row(key: str) -> None:
    with pytest.raises(DamageError, match="epoch 1 of the curve"):
        curve_of([{**row(1, 0.5).to_json(), key: None}])


def test_numbers_that_are_not_finite_come_out_as_they_went_in(tmp_path: Path) -> None:
    study = study_of(tmp_path, "val_accuracy")
    study.add(candidate())
    study.store_training(0, tuple(row(e, v) for e, v in enumerate([math.nan, math.inf, -math.inf], 1)), TrainingState())
    values = study.as_optuna().trials[0].intermediate_values
    assert math.isnan(values[1])
    assert (values[2], values[3]) == (math.inf, -math.inf)


def test_a_resumed_study_stores_values_that_need_the_costs(tmp_path: Path) -> None:
    study_of(tmp_path, "val_accuracy").add(candidate())
    study = open_study(tmp_path)

    def per_parameter(rows: Curve, costs: Mapping[str, float]) -> dict[str, float]:
        return {"val_accuracy": rows[-1].val_accuracy / costs["params"]}

    study.report_epochs(per_parameter)
    study.store_training(0, curve(2, accuracy=0.5), TrainingState())
    assert study.as_optuna().trials[0].intermediate_values == {1: 0.005, 2: 0.005}


def test_a_study_of_several_objectives_has_none(tmp_path: Path) -> None:
    study = study_of(tmp_path, "val_accuracy", "macs")
    study.add(candidate())
    study.store_training(0, curve(3), TrainingState())
    assert study.as_optuna().trials[0].intermediate_values == {}


def test_optunas_plot_has_a_curve_a_trial_and_the_copy_for_the_dashboard_has_the_values(tmp_path: Path) -> None:
    study = study_of(tmp_path, "val_accuracy")
    for number in range(3):
        study.add(candidate(number))
        study.store_training(number, curve(number + 1), TrainingState())
    copy = StudyCopy(study, "study=mine")
    study.store_training(2, curve(4), TrainingState())
    copy.follow()
    (copied,) = copy.storage.get_all_studies()
    expected = [trial.intermediate_values for trial in study.as_optuna().trials]
    assert [trial.intermediate_values for trial in copy.storage.get_all_trials(copied._study_id)] == expected
    figure = optuna.visualization.plot_intermediate_values(study.as_optuna())
    assert [list(line.x) for line in figure.data] == [[1], [1, 2], [1, 2, 3, 4]]


@pytest.mark.parametrize(("objective", "found"), [("[val_accuracy]", {1: 0.5}), ("[val_accuracy,macs]", {})])
def test_a_search_reports_them_where_there_is_one_objective(tmp_path: Path, objective: str, found: Any) -> None:
    config: Any = compose("search", [f"objective={objective}", "tracking=none"])
    plan = build.prepare(config)
    study = build.open_or_create(tmp_path, plan)
    build.assemble(plan, study, [])
    study.add(candidate())
    study.store_training(0, curve(1), TrainingState())
    assert study.as_optuna().trials[0].intermediate_values == found
