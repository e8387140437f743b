"""Tests of the runner that is built where it runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.evaluation.deferred_runner import DeferredRunner
from nas.evaluation.retrain.runner import RetrainRunner
from nas.evaluation.trial_runner import TrialRunner
from nas.tabular.tabulate.runner import TableRunner
from nas.workers.ray.packed_runner import ImageRunner

RECIPE = Recipe(epochs=1)


def test_it_is_the_runner_of_a_search_with_the_same_settings() -> None:
    deferred = DeferredRunner(DataSpec(), RECIPE, 2, deterministic=True)
    assert deferred.built() == TrialRunner(DataSpec(), RECIPE, 2, deterministic=True)
    assert pickle.loads(pickle.dumps(deferred)) == deferred


def test_it_is_the_runner_around_that_one_where_another_is_named() -> None:
    deferred = DeferredRunner(DataSpec(), RECIPE, 1, "nas.evaluation.retrain.runner:RetrainRunner")
    assert deferred.built() == RetrainRunner(TrialRunner(DataSpec(), RECIPE, 1))
    table = DeferredRunner(DataSpec(), RECIPE, 1, "nas.tabular.tabulate.runner:TableRunner", (100, 10))
    assert table.built() == TableRunner(TrialRunner(DataSpec(), RECIPE, 1), test_images=100, early_test_images=10)


def test_a_machine_with_images_elsewhere_gets_them_from_its_own_folder(tmp_path: Path) -> None:
    deferred = DeferredRunner(DataSpec(), RECIPE, 1)
    assert isinstance(deferred, ImageRunner)
    moved: Any = deferred.with_images_in(tmp_path).built()
    assert moved == TrialRunner(DataSpec(), RECIPE, 1).with_images_in(tmp_path)
