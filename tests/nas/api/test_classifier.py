"""scikit-learn's interface."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bars import bars
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from nas import InceptionClassifier

QUICK: dict[str, Any] = {
    "budget": 2,
    "epochs": 3,
    "max_macs": 2e5,
    "random_state": 0,
    "settings": {"training": {"epochs": 3, "batch_size": 16}, "slots": 1, "sampler": "random"},
}
CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
)
"""Checks of scikit-learn that hand in no table of numbers."""


@pytest.fixture(scope="module")
def fitted() -> InceptionClassifier:
    found = bars(150)
    return InceptionClassifier(**QUICK).fit(found.images, found.labels)


@pytest.mark.parametrize("check", CHECKS)
def test_it_keeps_the_conventions(check: str) -> None:
    getattr(estimator_checks, check)("InceptionClassifier", InceptionClassifier())


def test_string_labels_are_learnt_and_predicted(fitted: InceptionClassifier) -> None:
    test = bars(60, seed=1)
    assert fitted.classes_.tolist() == ["left", "middle", "right"]
    shares = fitted.predict_proba(test.images)
    assert shares.shape == (60, 3)
    assert (fitted.classes_[shares.argmax(axis=1)] == fitted.predict(test.images)).all()
    assert fitted.score(test.images, test.labels) > 0.6  # by chance 0.33
    assert fitted.network_.costs["macs"] <= QUICK["max_macs"]
    assert (fitted.predict(test.images[..., None]) == fitted.predict(test.images)).all()


def test_an_export_is_loaded(fitted: InceptionClassifier, tmp_path: Path) -> None:
    test = bars(30, seed=1)
    folder = fitted.export(tmp_path / "kept", ["safetensors"])
    loaded = InceptionClassifier.load(folder)
    np.testing.assert_allclose(loaded.predict_proba(test.images), fitted.predict_proba(test.images), rtol=1e-5)
    assert loaded.predict(test.images).tolist() == fitted.predict(test.images).tolist()
    with pytest.raises(TypeError, match=r"is kept by export\(folder\) and load\(folder\), not by a pickle"):
        pickle.dumps(fitted)
    with pytest.raises(ValueError, match=r"must be a folder of nas export .*, there is no .*weights\.safetensors"):
        InceptionClassifier.load(tmp_path)


@pytest.mark.slow
def test_it_stands_in_a_pipeline_and_a_grid_and_takes_rows_of_pixels() -> None:
    found = bars(90)
    rows, numbers = found.images.reshape(90, 64), np.where(found.labels == "left", 3, 7)
    estimator = InceptionClassifier(**{**QUICK, "budget": 1}, image_shape=(8, 8))
    grid = GridSearchCV(estimator, {"pick": ["best"]}, cv=2, refit=True)
    pipeline = make_pipeline(FunctionTransformer(), grid).fit(rows, numbers)
    assert set(pipeline.predict(rows)) <= {3, 7}
    assert clone(grid.estimator).get_params() == estimator.get_params()


def test_what_is_not_fitted_or_not_images_is_refused() -> None:
    with pytest.raises(NotFittedError):
        InceptionClassifier().predict(np.zeros((2, 8, 8)))
    with pytest.raises(ValueError, match=r"image_shape=\(h, w\) says their shape"):
        InceptionClassifier().fit(np.zeros((4, 64)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"y must have at least two classes, got 1"):
        InceptionClassifier().fit(np.zeros((4, 8, 8)), [0, 0, 0, 0])
