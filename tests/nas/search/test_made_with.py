"""Seed and strategy of a study: the seed stays, a strategy may change while there is something left to do."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from engine import candidate, curve, fingerprint

from nas.cli import main
from nas.cli.app.compose import compose, read_yaml
from nas.search.made_with import HISTORY, check_made_with, default_name
from nas.study.study import Study, StudyMismatchError, create_study, open_study
from nas.study.training_state import TrainingState

WORDS = (
    "search", "tracking=none", "space=tabulated_digits", "training.epochs=1", "data.train_fraction=0.2",
    "workers.slots=1", "sampler=random", "format=json", "workers.keep=none",
)  # fmt: skip


def settings(*words: str) -> Any:
    return json.loads(json.dumps(dataclasses.asdict(compose("search", words))))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "m").mkdir()
    made = create_study(tmp_path / "m", fingerprint())
    made.set_attribute("config", settings("seed=3", "sampler=tpe"))
    return made


def test_another_seed_is_refused_with_a_name_for_it(study: Study) -> None:
    law = "study m was made with seed=3, got seed=1; a search with another seed is another study, e.g. study=m-seed1"
    with pytest.raises(StudyMismatchError, match=law):
        check_made_with(study, compose("search", ["seed=1", "sampler=tpe"]))
    check_made_with(study, compose("search", ["seed=3", "sampler=tpe"]))


def test_a_changed_strategy_is_kept_with_the_number_of_its_first_trial(study: Study) -> None:
    for sampler in ("tpe", "random", "random", "tpe"):
        check_made_with(study, compose("search", ["seed=3", f"sampler={sampler}"]))
    kept = study.attribute(HISTORY)
    assert [(entry["first_trial"], entry["sampler"]["name"]) for entry in kept] == [
        (0, "tpe"),
        (0, "random"),
        (0, "tpe"),
    ]
    assert {"sampler", "prior", "fidelity", "start", "first_trial"} == set(kept[0])


def test_trials_trained_elsewhere_do_not_use_up_the_budget(study: Study) -> None:
    for number, imported in enumerate((True, False)):
        study.add(dataclasses.replace(candidate(number), imported=imported))
        study.store_training(number, curve(2), TrainingState())
        study.tell(number, {"val_accuracy": 0.5, "macs": candidate(number).costs["macs"]})
    check_made_with(study, compose("search", ["seed=3", "sampler=random", "budget.trials=2"]))
    with pytest.raises(StudyMismatchError, match="study m has its 1 trials, made with another strategy"):
        check_made_with(study, compose("search", ["seed=3", "sampler=evolution", "budget.trials=1"]))


def test_a_study_of_an_older_version_goes_on_with_options_that_it_did_not_know(study: Study) -> None:
    old = settings("seed=3", "sampler=known_cost")
    old["sampler"]["options"] = {"focus": 0.5, "start": 4}
    del old["prior"]
    study.set_attribute("config", old)
    check_made_with(study, compose("search", ["seed=3", "budget.trials=1"]))


@pytest.mark.few(5)
@pytest.mark.parametrize(
    "damaged", [None, [], {}, [3], [[]], {"seed": None}, {"seed": "x"}, {"seed": [1], "sampler": 3}]
)
def test_settings_that_cannot_be_read_refuse_nothing(study: Study, damaged: Any) -> None:
    study.set_attribute("config", damaged)
    study.set_attribute(HISTORY, damaged)
    check_made_with(study, compose("search", ["seed=1"]))


@pytest.mark.parametrize(
    ("words", "stored", "name"),
    [
        ([], {}, "digits-quick"),
        (["seed=1"], {}, "digits-quick-seed1"),
        (["seed=1", "sampler=tpe"], {}, "digits-quick-seed1-tpe"),
        (["sampler=tpe", "fidelity=moasha"], {}, "digits-quick-tpe-moasha"),
        (["seed=1"], {"seed": 1, "sampler": {"name": "known_cost"}, "fidelity": {"name": "full"}}, "digits-quick"),
        (
            ["seed=1"],
            {"seed": 0, "sampler": {"name": "known_cost"}, "fidelity": {"name": "full"}},
            "digits-quick-seed1",
        ),
        (["seed=1"], {"seed": 1, "sampler": 3}, "digits-quick-seed1"),
    ],
)
def test_what_varies_stands_in_the_default_name(words: list[str], stored: dict[str, Any], name: str) -> None:
    assert default_name(compose("search", words), "quick", stored) == name


@pytest.mark.slow
def test_a_sweep_over_seeds_makes_a_study_each_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*WORDS, "budget.trials=1", "-m", "seed=0,1"]) == 0
    made = sorted(path.name for path in (tmp_path / "outputs").iterdir())
    assert made == ["digits-tabulated_digits-random", "digits-tabulated_digits-seed1-random"]
    plain = tmp_path / "outputs" / made[0]
    before = (plain / "config.yaml").read_bytes()
    capsys.readouterr()
    assert main([*WORDS, "budget.trials=2", f"study={made[0]}", "seed=1"]) == 2
    assert f"study {made[0]} was made with seed=0, got seed=1" in capsys.readouterr().err
    stratified = [word for word in WORDS if word != "sampler=random"] + ["sampler=stratified", f"study={made[0]}"]
    assert main([*stratified, "budget.trials=1"]) == 2
    line = capsys.readouterr().err
    assert "has its 1 trials, made with another strategy: sampler.module is null in the study" in line
    assert "raise budget.trials" in line
    assert (plain / "config.yaml").read_bytes() == before
    assert main([*stratified, "budget.trials=2"]) == 0
    kept = open_study(plain).attribute(HISTORY)
    assert [(entry["first_trial"], entry["sampler"]["name"]) for entry in kept] == [(0, "random"), (1, "stratified")]
    assert read_yaml(plain / "config.yaml")["sampler"]["name"] == "stratified"
