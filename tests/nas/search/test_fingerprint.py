"""A study's images and recipe, taken up again from what it remembers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine import fingerprint
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

from nas.cli.app.compose import changed, read_yaml
from nas.config.augmentation import AugmentationSpec
from nas.config.training import Recipe
from nas.data import DataSpec, describe
from nas.search.fingerprint import data_fingerprint, study_data, study_recipe
from nas.study.study import Study, StudyMismatchError, create_study, resume_study
from search_space.plugins import TRUSTED, PluginError

RECIPE = Recipe(epochs=7, ema_decay=0.9)


def paint(root: Path, shade: int) -> Path:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(np.full((8, 8), shade + number, np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return paint(tmp_path / "images", 10)


@pytest.fixture
def study(images: Path, tmp_path: Path) -> Study:
    spec = DataSpec(name="mine", source="image_folder", path=str(images), split_seed=3)
    (tmp_path / "study").mkdir()
    made_with = fingerprint(data=data_fingerprint(spec, describe(spec)), training=asdict(RECIPE))
    return create_study(tmp_path / "study", made_with)


def test_the_recipe_comes_back(study: Study) -> None:
    assert study_recipe(study) == RECIPE


def test_an_augmentation_is_part_of_a_study(tmp_path: Path) -> None:
    flipped = replace(RECIPE, augmentation=(AugmentationSpec("flip", "flip", {"probability": 0.5}),))
    for name, recipe in (("plain", RECIPE), ("flipped", flipped)):
        (tmp_path / name).mkdir()
        created = create_study(tmp_path / name, fingerprint(training=recipe.settings()))
        assert study_recipe(created) == recipe
        assert resume_study(tmp_path / name, fingerprint(training=recipe.settings())).name == name
    with pytest.raises(StudyMismatchError, match=r"training.augmentation is null in the study and "):
        resume_study(tmp_path / "plain", fingerprint(training=flipped.settings()))
    with pytest.raises(StudyMismatchError, match=r"training.augmentation is .* in the study and null here"):
        resume_study(tmp_path / "flipped", fingerprint(training=RECIPE.settings()))


def test_an_augmentation_from_outside_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUSTED, "")
    (tmp_path / "study").mkdir()
    foreign = replace(RECIPE, augmentation=(AugmentationSpec("odd", "somewhere.make"),))
    study = create_study(tmp_path / "study", fingerprint(training=foreign.settings()))
    with pytest.raises(PluginError, match=r"training.augmentation.odd.module names 'somewhere.make', code from"):
        study_recipe(study)


def test_the_images_come_back_from_where_they_lay(study: Study, images: Path) -> None:
    spec, info = study_data(study, {"path": str(images), "cache": None}, None)
    assert (spec.path, spec.split_seed, info.train + info.validation + info.test) == (str(images), 3, 12)


def test_the_same_images_may_lie_elsewhere(study: Study, images: Path, tmp_path: Path) -> None:
    moved = images.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"data\.path must exist"):
        study_data(study, {"path": str(images)}, None)
    assert study_data(study, {"path": str(images)}, str(moved))[0].path == str(moved)


def test_other_images_are_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(StudyMismatchError, match=r"must be what study was searched on, .*: data\.content is"):
        study_data(study, {}, str(paint(tmp_path / "others", 50)))


def test_a_study_that_forgot_where_its_images_lay_says_so(study: Study) -> None:
    with pytest.raises(ValueError, match=r"set data\.path=FOLDER"):
        study_data(study, read_yaml(study.folder / "config.yaml").get("data", {}), None)


@pytest.mark.parametrize(("text", "message"), [("a: [1", "must be readable YAML"), ("- 1", "must hold a mapping")])
def test_a_damaged_configuration_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_yaml(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, RECIPE),
        ({"epochs": 9, "ema_decay": None}, Recipe(epochs=9)),
        ({"learning_rate": 1}, Recipe(epochs=7, ema_decay=0.9, learning_rate=1.0)),
    ],
)
def test_a_recipe_is_changed_in_what_is_said(changes: dict[str, Any], expected: Recipe) -> None:
    assert changed(RECIPE, changes) == expected


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "training.epochs must be at least 1, got 0"),
        ({"epochs": "many"}, OmegaConfBaseException, "'many'"),
        ({"epoch": 3}, OmegaConfBaseException, "epoch"),
    ],
)
def test_a_change_is_checked(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        changed(RECIPE, changes)
