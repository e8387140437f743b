"""Damaged studies, and studies that other programs write into: one line says what is wrong, and the rest is read."""

from __future__ import annotations

import json
import logging
import random
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
import pytest
from engine import curve
from study_damage import DAMAGED, FILES, NAMED, PART, WHOLE, Damage, attribute

from nas.cli.app.application import MISTAKES
from nas.cli.app.compose import compose, yaml_text
from nas.cli.app.entry import COMMANDS
from nas.cli.app.mistakes import explain
from nas.config.commands import ROOTS
from nas.reports.dashboard import StudyCopy
from nas.search.build import SearchPlan, open_or_create, prepare
from nas.search.environment import environment
from nas.study.belief.stored import stored_space
from nas.study.parameters import Draw
from nas.study.study import Study, open_study
from nas.study.summary import StudyReader
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate
from search_space.architecture import Architecture

TRIALS = 4
EPOCHS = 2
SEARCH = ("fidelity=full", f"training.epochs={EPOCHS}", "workers.slots=1", "tracking=none", "budget.trials=4")
READERS = ("status", "front", "report", "describe", "export")
HARD = ("no architecture", "half JSON", "accuracy 7", "no values", "huge number", "deep architecture")


def candidate_at(plan: SearchPlan, architecture: Architecture, ask: int) -> Candidate:
    """Candidate as the proposer makes it of an architecture."""
    draw, examined = Draw.of(plan.space, architecture), plan.built.requirements.examine(architecture)
    document, seed = architecture.to_json(), 7 + ask
    identities = (architecture.id, examined.network_id, examined.summary)
    return Candidate(ask, draw.params, draw.distributions, document, *identities, examined.costs, seed)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Study of four complete trials, made without a training; copy it before changing it."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", str(root / "cache"))
        config = compose("search", ["study=mine", f"outputs={root}", *SEARCH])
        plan = prepare(config)
        folder = root / "mine"
        folder.mkdir()
        study = open_or_create(folder, plan)
        settings = json.loads(json.dumps(asdict(config)))
        (folder / "config.yaml").write_text(yaml_text(settings))
        (folder / "environment.json").write_text(json.dumps(environment()))
        study.set_attribute("config", settings)
        generator, known = random.Random(0), set()
        first = plan.space.minimise(lambda one: plan.built.requirements.measure(one)[1]["macs"])
        for number in range(TRIALS):
            while first.id in known:
                first = plan.space.mutate(first, generator)
            known.add(first.id)
            rows = curve(EPOCHS, accuracy=0.3 + number / 10)
            candidate = candidate_at(plan, first, number)
            study.add(candidate)
            study.store_training(number, rows, TrainingState(attempt=1, epochs=EPOCHS, clock=1.0))
            study.tell(number, plan.built.values(rows, candidate.costs))
        study.close()
        yield folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "mine")
    return tmp_path / "mine"


def damage(folder: Path, done: Damage) -> None:
    if callable(done):
        done(folder)
        return
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        connection.executescript(done)
        connection.commit()


def run(command: str, folder: Path, caplog: pytest.LogCaptureFixture, *words: str) -> tuple[int, list[str]]:
    """Return exit code and lines on standard error of a command; any other exception than a user error is raised."""
    named = [f"architecture={folder}:0"] if command == "describe" else [f"study={folder}"]
    more = {"report": [f"output={folder}/page.html"], "export": ["pick=0", "formats=[safetensors]"]}.get(command, [])
    caplog.clear()
    code, said = 0, []
    with caplog.at_level(logging.INFO, "nas"):
        try:
            code = import_module(COMMANDS[command].module).run(compose(command, [*named, *more, *words]))
        except MISTAKES as error:
            code, said = 2, [explain(error, ROOTS[command])]
    return code, [*(record.getMessage() for record in caplog.records), *said]


@pytest.mark.few(16)
@pytest.mark.parametrize("name", NAMED)
def test_a_damaged_trial_is_named_and_the_others_are_read(
    name: str, folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    done, law = NAMED[name]
    damage(folder, done)
    code, lines = run("front", folder, caplog, "format=json")
    front = json.loads(capsys.readouterr().out)
    assert (code, len(lines)) == (0, 1)
    assert f"trial {DAMAGED} of mine is damaged and left out: " in lines[0] or "its number must be its own" in lines[0]
    assert law in lines[0]
    assert front["front"]
    assert DAMAGED not in [member["trial"] for member in front["front"]]
    code, again = run("status", folder, caplog, "format=json")
    assert (code, again) == (0, lines)
    assert json.loads(capsys.readouterr().out)["trials"]["complete"] == TRIALS - 1


@pytest.mark.few(10)
@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("name", HARD)
def test_every_reader_goes_on_without_a_damaged_trial(
    command: str, name: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(folder, NAMED[name][0])
    code, lines = run(command, folder, caplog)
    assert any(f"trial {DAMAGED} of mine is damaged" in line for line in lines)
    if command == "export":  # the study has no checkpoints
        assert code == 2
        assert "trained in full" in lines[-1]
    else:
        assert code == 0


@pytest.mark.few(4)
@pytest.mark.parametrize("name", PART)
def test_damage_beside_the_trials_is_named_and_all_trials_are_read(
    name: str, folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    done, law = PART[name]
    damage(folder, done)
    told = []
    for command in ("status", "front", "report"):
        code, lines = run(command, folder, caplog, "format=json")
        assert code == 0
        told += lines
    assert json.loads(capsys.readouterr().out.partition("}\n{")[0] + "}")["trials"]["complete"] == TRIALS
    study = open_study(folder)
    with caplog.at_level(logging.WARNING):
        study.attribute("tail")
    assert any(law in line for line in [*told, *(record.getMessage() for record in caplog.records)])


@pytest.mark.few(7)
@pytest.mark.parametrize("name", WHOLE)
def test_a_study_of_which_nothing_can_be_read_is_one_line(
    name: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done, law = WHOLE[name]
    damage(folder, done)
    for command in ("status", "front", "report"):
        code, lines = run(command, folder, caplog)
        assert (code, len(lines)) == (2, 1), (command, lines)
        assert law in lines[0]
        assert "\n" not in lines[0]
        assert len(lines[0]) < 600


@pytest.mark.few(6)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_what_the_study_stores_counts(
    name: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done, law = FILES[name]
    damage(folder, done)
    code, lines = run("report", folder, caplog)
    assert (code, len(lines)) == (0, 1)
    assert law in lines[0]
    assert (folder / "page.html").is_file()


def test_several_damaged_trials_are_named_up_to_three(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        connection.execute("DELETE FROM trial_user_attributes WHERE key = 'seed' AND trial_id > 1")
        connection.commit()
    assert run("status", folder, caplog) == (
        0,
        [
            f"trial {n} of mine is damaged and left out: seed must be an integer of at least 0, got null"
            for n in (1, 2, 3)
        ],
    )


def optuna_study(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="study", storage=f"sqlite:///{folder / 'study.db'}")


def other_choices(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of an architecture of the study's space that no trial has, with their distributions."""
    study = open_study(folder)
    space, first = stored_space(study.fingerprint), study.records()[0]
    known = {record.candidate.id for record in study.records()}
    generator, found = random.Random(0), Architecture.from_json(first.candidate.architecture)
    while found.id in known:
        found = space.mutate(found, generator)
    draw = Draw.of(space, found)
    return dict(draw.params), dict(draw.distributions)


def test_trials_of_another_program_are_taken_as_what_they_are(
    folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    params, distributions = other_choices(folder)
    theirs = optuna_study(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.set_user_attr("note", "from a notebook")
        theirs.add_trial(optuna.trial.create_trial(values=[0.95, 1.0], params=params, distributions=distributions))
        theirs.add_trial(optuna.trial.create_trial(values=[0.9, 1e3], params={}, distributions={}))
        theirs.add_trial(optuna.trial.create_trial(values=[7.0, 1e3], params=params, distributions=distributions))
        theirs.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
        theirs.enqueue_trial({"x": 1})
        assert theirs.ask().number == 8
    code, lines = run("front", folder, caplog, "format=json")
    members = {member["trial"]: member for member in json.loads(capsys.readouterr().out)["front"]}
    assert code == 0
    assert lines == [
        "trained elsewhere: trial 4 of mine",
        (
            "4 trials of others are left out of mine: trial 5 has no architecture: parameter 'stage0.reduction' is "
            "missing; trial 6 val_accuracy must be a finite number from 0 to 1, got 7.0; trial 7 is fail under "
            "no search"
        ),
    ]
    assert members[4]["imported"] is True
    assert members[4]["values"]["val_accuracy"] == 0.95
    assert members[4]["values"]["macs"] == members[4]["costs"]["macs"] != 1.0
    for command in ("status", "report"):
        assert run(command, folder, caplog)[0] == 0
    code, lines = run("export", folder, caplog, "pick=4")
    assert code == 2
    assert "it was trained elsewhere" in lines[-1]


def test_the_dashboard_shows_damaged_trials_and_those_of_others(folder: Path) -> None:
    params, distributions = other_choices(folder)
    damage(folder, NAMED["no architecture"][0])
    theirs = optuna_study(folder)
    theirs.add_trial(optuna.trial.create_trial(values=[0.95, 1.0], params=params, distributions=distributions))
    theirs.add_trial(optuna.trial.create_trial(values=[0.9, 1e3], params={}, distributions={}))
    theirs.ask()
    copy = StudyCopy(open_study(folder), "study=mine")
    copy.follow()
    copied = copy.storage.get_all_trials(copy.storage.get_all_studies()[0]._study_id)
    assert [trial.state.name for trial in copied] == [
        "COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "FAIL", "RUNNING",
    ]  # fmt: skip
    assert copied[2].user_attrs == {"left out": "architecture must be a JSON object, got null"}
    assert copied[4].user_attrs["imported"] is True
    assert copied[4].values is not None
    assert copied[4].values[0] == 0.95


def test_an_enqueued_network_is_read_as_a_wish(folder: Path) -> None:
    params, _ = other_choices(folder)
    optuna_study(folder).enqueue_trial(params)
    reading = open_study(folder).read_trials()
    assert list(reading.wishes) == [4]
    assert dict(reading.wishes[4].params) == params
    assert reading.lines("mine") == ["enqueued, for the next search to train first: trial 4 of mine"]


def test_a_damaged_trial_still_counts_its_ask(folder: Path) -> None:
    damage(folder, attribute("seed", None))
    damage(folder, attribute("ask", "70"))
    study: Study = open_study(folder)
    assert study.read_trials().last_ask == 70
    assert [record.number for record in StudyReader(study).records] == [0, 1, 3]
