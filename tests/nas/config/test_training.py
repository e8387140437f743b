from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from nas.cli.app.compose import convert, schema
from nas.config.augmentation import AugmentationSpec
from nas.config.training import Recipe

CONF = Path(__file__).parents[3] / "conf" / "training"


@pytest.mark.parametrize(
    ("field", "value", "law"),
    [
        ("epochs", 0, "epochs must be at least 1, got 0"),
        ("batch_size", 1, "batch_size must be at least 2, got 1"),
        ("optimizer", "lion", "optimizer must be one of sgd, adamw, got 'lion'"),
        ("learning_rate", 0.0, "learning_rate must be positive, got 0.0"),
        ("learning_rate", float("nan"), "learning_rate must be positive, got nan"),
        ("learning_rate", float("inf"), "learning_rate must be at most 1000, got inf"),
        ("momentum", 1.0, r"momentum must lie in \(0, 1\), got 1.0"),
        ("momentum", 0.0, r"momentum must lie in \(0, 1\), got 0.0"),
        ("weight_decay", -0.1, "weight_decay must be at least 0, got -0.1"),
        ("norm_learning_rate", 0.0, "norm_learning_rate must be positive, got 0.0"),
        ("schedule", "step", "schedule must be one of one_cycle, cosine, got 'step'"),
        ("warmup", 1.0, r"warmup must lie in \[0, 1\), got 1.0"),
        ("label_smoothing", 1.0, r"label_smoothing must lie in \[0, 1\), got 1.0"),
        ("ema_decay", 1.0, r"ema_decay must lie in \(0, 1\), got 1.0"),
        ("gradient_clip", 0.0, "gradient_clip must be positive, got 0.0"),
        ("precision", "64", "precision must be one of 32-true, bf16-mixed, 16-mixed, auto, got '64'"),
    ],
)
def test_a_setting_outside_its_range_is_refused(field: str, value: object, law: str) -> None:
    with pytest.raises(ValueError, match=f"^training.{law}$"):
        Recipe(**{field: value})


def test_the_default_file_holds_the_defaults() -> None:
    assert Recipe(**yaml.safe_load((CONF / "default.yaml").read_text())) == Recipe()


def test_the_long_recipe_is_what_it_was() -> None:
    settings = yaml.safe_load((CONF / "long.yaml").read_text())
    assert settings.pop("defaults") == ["default", "_self_"]
    assert Recipe(**settings) == Recipe(
        epochs=100, learning_rate=0.2, schedule="cosine", warmup=0.05, label_smoothing=0.1, ema_decay=0.995
    )


def test_a_structured_config_can_be_derived() -> None:
    config = OmegaConf.merge(OmegaConf.structured(schema(Recipe)), {"ema_decay": 0.99, "epochs": "7"})
    assert convert(Recipe, typing.cast(DictConfig, config)) == Recipe(epochs=7, ema_decay=0.99)


def test_the_settings_of_a_recipe_make_it_again() -> None:
    augmentations = (AugmentationSpec("flip", "flip", {"probability": 0.25}), AugmentationSpec("mine", "a.make"))
    recipe = Recipe(epochs=3, augmentation=augmentations)
    assert Recipe.of(json.loads(json.dumps(recipe.settings()))) == recipe
    assert "augmentation" not in Recipe(epochs=3).settings()
    assert Recipe.of(Recipe(epochs=3).settings()) == Recipe(epochs=3)
    assert recipe.settings() != Recipe(epochs=3, augmentation=augmentations[::-1]).settings()


def test_the_recipe_is_read_without_torch() -> None:
    code = "import sys, nas.config.training, nas.training.schedule; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=CONF.parents[1]).returncode == 0


def test_settings_of_the_default_recipe_are_those_that_were_stored_before_there_were_more() -> None:
    stored = {
        "batch_size": 64,
        "ema_decay": None,
        "epochs": 12,
        "gradient_clip": None,
        "label_smoothing": 0.0,
        "learning_rate": 0.3,
        "momentum": 0.9,
        "optimizer": "sgd",
        "precision": "32-true",
        "schedule": "one_cycle",
        "warmup": 0.25,
        "weight_decay": 0.0005,
    }
    assert Recipe().settings() == stored
    assert Recipe(**stored) == Recipe()


SPEED = {"compile": "default", "cuda_graph": True}
STORED = [field for field in dataclasses.fields(Recipe) if field.name not in (*SPEED, "weights")]


@pytest.mark.parametrize("field", STORED, ids=lambda field: field.name)
def test_every_setting_that_differs_is_stored(field: dataclasses.Field[typing.Any]) -> None:
    other: dict[str, typing.Any] = {"optimizer": "adamw", "schedule": "cosine", "precision": "bf16-mixed"}
    other |= {
        "augmentation": (AugmentationSpec("flip", "flip"),),
        "weights_sha256": "0" * 64,
        "class_weights": "balanced",
    }
    kind = type(field.default)
    values = {bool: True, int: 7, float: 0.125, type(None): 0.5}
    changed = Recipe(**{field.name: other.get(field.name, values.get(kind))})
    assert getattr(changed, field.name) != field.default
    assert field.name in changed.settings()
    assert Recipe.of(changed.settings()) == changed


def test_settings_of_speed_and_paths_are_not_stored() -> None:
    assert Recipe(weights="a.safetensors", **SPEED).settings() == Recipe().settings()


@pytest.mark.parametrize(
    ("given", "law"),
    [
        (
            {"compile": "fast"},
            "training.compile must be one of default, reduce-overhead, max-autotune or null, got 'fast'",
        ),
        (
            {"compile": "reduce-overhead", "cuda_graph": True},
            "training.compile=reduce-overhead captures CUDA graphs itself, got training.cuda_graph=true",
        ),
        (
            {"precision": "16-mixed", "cuda_graph": True},
            "training.cuda_graph can't capture the loss scale of training.precision=16-mixed",
        ),
    ],
)
def test_settings_of_speed_that_exclude_one_another_are_refused(given: dict[str, typing.Any], law: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(law)}$"):
        Recipe(**given)
