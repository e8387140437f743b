"""Searches and retrainings that start from the weights of an exported network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open

from nas.cli import main
from nas.study.study import open_study

WORDS = ("training=finetune", "training.epochs=1", "budget.trials=1", "tracking=none", "workers.slots=1")


@pytest.fixture
def exported(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Export the best network of a small search, and return its weights."""
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(searched, tmp_path / "digits")
    output = tmp_path / "export"
    assert main(["export", f"study={tmp_path / 'digits'}", f"output={output}", "formats=[safetensors]"]) == 0
    return output / "weights.safetensors"


def test_an_export_names_its_classes(exported: Path) -> None:
    with safe_open(exported, "pt") as file:
        assert json.loads(file.metadata()["classes"]) == list("0123456789")


def test_a_search_and_a_retraining_start_from_an_export(
    exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "fine"
    words = [f"study={study}", *WORDS]
    assert main(["search", *words, f"training.weights={exported}"]) == 0
    stored = open_study(study).fingerprint["training"]
    assert len(stored["weights_sha256"]) == 64
    assert "weights" not in stored
    assert "of the parameters are those of" in (study / "trials" / "00000" / "log.txt").read_text(encoding="utf-8")

    moved = exported.rename(tmp_path / "moved.safetensors")
    assert main(["search", *words, f"training.weights={moved}", "budget.trials=2"]) == 0
    assert main(["retrain", f"study={study}", "seeds=1", "workers.slots=1"]) == 0

    capfd.readouterr()
    assert main(["search", f"study={study}", *WORDS[1:], "training.learning_rate=0.05"]) == 2
    assert "training.weights_sha256 is " in capfd.readouterr().err
    moved.unlink()
    assert main(["retrain", f"study={study}", "seeds=2", "workers.slots=1"]) == 2
    assert f"training.weights must be a readable file, got {moved}" in capfd.readouterr().err
    fresh = ["seeds=1", "workers.slots=1", "training.weights=null", "replace=true", "format=json"]
    assert main(["retrain", f"study={study}", *fresh]) == 0
    assert json.loads(capfd.readouterr().out)["training"]["weights_sha256"] is None


def test_finetuning_without_weights_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "training=finetune"]) == 2
    assert "training.weights must be given, e.g. training.weights=" in capfd.readouterr().err
