"""A real search on the digits whose front is trained again, and what the commands say of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.cli import main
from nas.exports.trained_weights import choose_checkpoint
from nas.study.study import open_study

SEARCH = ("search", "study=mine", "tracking=none", "workers.slots=1", "sampler=random", "seed=4", "format=json")
SMALL = ("budget.trials=3", "training.epochs=1", "fidelity.repeats=1")


def test_a_front_is_trained_again_and_shown_with_its_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    assert main([*SEARCH, *SMALL]) == 0
    document = json.loads(capsys.readouterr().out)
    study = open_study(tmp_path / "outputs" / "mine")
    records = study.records()
    stored = [trial.values for trial in study.as_optuna().trials]
    for item in document["front"]:
        record = records[item["trial"]]
        once, again = (training.curve[-1].val_accuracy for training in record.all_trainings)
        assert once == stored[record.number][0]
        assert once != again
        assert item["trainings"] == record.trainings == 2
        assert item["values"]["val_accuracy"] == pytest.approx((once + again) / 2, rel=1e-12)
        handed = choose_checkpoint(study, record)
        assert handed.trained.curve == record.curve
        assert (handed.origin["val_accuracy"], handed.origin["trainings"]) == (once, 2)
        assert handed.origin["mean_values"]["val_accuracy"] == item["values"]["val_accuracy"]
    assert main(["report", "study=mine"]) == 0
    capsys.readouterr()
    page = (tmp_path / "outputs" / "mine" / "report.html").read_text(encoding="utf-8")
    assert "The values of a network with several trainings are means." in page


def test_repeats_that_cannot_be_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SEARCH, "fidelity.repeats=-1"]) == 2
    said = capsys.readouterr().err
    assert "fidelity.repeats must be at least 0, got -1" in said
    assert said.count("\n") == 1
