"""The study: everything that goes in comes out, plain Optuna reads it too, and nothing foreign is touched."""

from __future__ import annotations

import math
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from engine import candidate, curve, fingerprint, rejected
from optuna.trial import TrialState

from nas.jobs import Failure
from nas.objectives.pareto import Axis
from nas.study.storage.sqlite import STUDY_FILE, STUDY_NAME
from nas.study.study import Study, StudyMismatchError, create_study, open_study, resume_study
from nas.study.training_state import TrainingState

TRAINING = {  # with a key of some other version
    "attempt": 2, "checkpoint": "trials/00000/attempt2-epoch003.pt", "seconds": 3.0, "clock": 4.5, "frozen": True,
    "mood": "good",
}  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return create_study(tmp_path, fingerprint())


def test_the_file_is_in_wal_mode_and_nothing_half_made_is_left(study: Study) -> None:
    with sqlite3.connect(study.folder / STUDY_FILE) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    study.close()
    assert [path.name for path in study.folder.iterdir()] == [STUDY_FILE]


def test_a_candidate_comes_out_as_it_went_in(study: Study) -> None:
    given = candidate(
        4,
        rejected=(rejected(1), rejected(3, sampler_attrs={})),
        skipped={"rejected": 2, "duplicates": 1},
        sampler_attrs={"NSGAIISampler:generation": 3},
    )
    assert study.add(candidate(0, constraints={}, rejected=())) == 0
    assert study.add(given) == 1
    first, record = open_study(study.folder).records()
    assert record.candidate == given
    assert first.candidate == candidate(0, constraints={}, rejected=())
    assert (record.number, record.state, record.curve, record.values, record.failure) == (1, "running", (), None, None)


def test_curve_training_values_and_failure_come_out_as_they_went_in(study: Study) -> None:
    for number in range(4):
        study.add(candidate(number))
    study.store_training(0, curve(3, accuracy=0.875), TrainingState.from_json(TRAINING))
    study.tell(0, {"macs": 5000, "val_accuracy": 0.875})
    study.fail(1, Failure("nan", "the training loss must stay finite, got nan"))
    study.prune(2)
    complete, failed, pruned, running = open_study(study.folder).records()
    assert complete.state == "complete"
    assert complete.values == {"val_accuracy": 0.875, "macs": 5000.0}
    assert complete.curve == curve(3, accuracy=0.875)
    assert complete.training.to_json() == TRAINING
    assert complete.seconds == 3.0
    assert (failed.state, failed.values) == ("failed", None)
    assert failed.failure == Failure("nan", "the training loss must stay finite, got nan")
    assert (pruned.state, running.state) == ("pruned", "running")


def test_objectives_that_are_no_numbers_are_refused(study: Study) -> None:
    study.add(candidate())
    with pytest.raises(ValueError, match=r"an objective must be a number, got .* for trial 0"):
        study.tell(0, {"val_accuracy": math.nan, "macs": 1.0})
    with pytest.raises(KeyError, match="macs"):
        study.tell(0, {"val_accuracy": 0.5})
    assert study.records()[0].state == "running"


def test_attributes_of_the_study_are_json_values(study: Study) -> None:
    assert study.attribute("tail") is None
    study.set_attribute("tail", {"asks": 3, "skipped": {"rejected": 1}, "rejected": []})
    assert open_study(study.folder).attribute("tail") == {"asks": 3, "skipped": {"rejected": 1}, "rejected": []}


def test_axes_and_name_come_from_the_study(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_study(study.folder)
    assert opened.axes == (Axis("val_accuracy", "maximize", False, 1.0, 0.1), Axis("macs", "minimize", True, 1e3, 1e6))
    assert opened.name == study.folder.name
    monkeypatch.chdir(study.folder)
    assert open_study(Path()).name == study.folder.name


def test_plain_optuna_reads_it(study: Study) -> None:
    study.add(candidate(0))
    study.tell(0, {"val_accuracy": 0.5, "macs": 5000})
    study.add(candidate(1))
    study.fail(1, Failure("died", "gone"))
    plain = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{study.folder / STUDY_FILE}")
    assert [direction.name for direction in plain.directions] == ["MAXIMIZE", "MINIMIZE"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        assert plain.metric_names == ["val_accuracy", "macs"]
    done, failed = plain.trials
    assert (done.state, done.values, failed.state) == (TrialState.COMPLETE, [0.5, 5000.0], TrialState.FAIL)
    assert done.params == {"stem.width": 8, "stage0.reduction": "max"}
    assert done.constraints == {"max_macs": -10.5}
    assert done.user_attrs["summary"] == "3:8 [0]"
    assert done.user_attrs["costs"] == {"params": 100, "macs": 5000, "memory_mib": 0.25}
    assert [trial.number for trial in plain.best_trials] == [0]
    plain._storage.remove_session()  # type: ignore[attr-defined]  # frees the file


@pytest.mark.parametrize("name", ["what?", "100%", "a b", "{x}", "[1]", "ä#b", "a=b&c"])
def test_a_study_may_have_any_name_that_a_folder_may(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    create_study(tmp_path / name, fingerprint()).add(candidate())
    assert open_study(tmp_path / name).records()[0].candidate == candidate()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"space": {"name": "large"}}, 'space.name is "tiny" in the study and "large" here'),
        ({"data": {"resolution": 16}}, "data.resolution is 8 in the study and 16 here"),
        ({"data": {"resolution": 8, "split_seed": 1}}, "data.split_seed is null in the study and 1 here"),
        ({"training": {"epochs": 30}}, "training.epochs is 3 in the study and 30 here"),
    ],
)
def test_a_resume_with_something_else_is_refused_with_the_difference(
    study: Study, changes: dict[str, Any], difference: str
) -> None:
    with pytest.raises(StudyMismatchError) as refused:
        resume_study(study.folder, fingerprint(**changes))
    assert str(refused.value) == (
        f"a study goes on with what it was made with; in {study.folder} {difference}. Take another study=NAME"
    )


@pytest.mark.parametrize("objectives", [("val_accuracy",), ("macs", "val_accuracy"), ("val_accuracy", "params")])
def test_a_resume_with_other_objectives_is_refused(study: Study, objectives: tuple[str, ...]) -> None:
    with pytest.raises(StudyMismatchError, match=r'objectives is \["val_accuracy", "macs"\] in the study and \["'):
        resume_study(study.folder, fingerprint(objectives))


def test_a_resume_with_the_same_things_goes_on(study: Study) -> None:
    study.add(candidate())
    assert len(resume_study(study.folder, fingerprint(space={"name": "tiny"})).records()) == 1


def test_tuples_and_lists_are_the_same_to_a_resume(tmp_path: Path) -> None:
    create_study(tmp_path, fingerprint(space={"input": (1, 8, 8)}))
    assert resume_study(tmp_path, fingerprint(space={"input": [1, 8, 8]})).name == tmp_path.name


def test_a_second_study_in_a_folder_is_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="a new study needs a place without one"):
        create_study(study.folder, fingerprint())


def test_what_a_killed_driver_left_half_made_is_no_study_and_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_metric_names", killed)
        with pytest.raises(Killed):
            create_study(tmp_path, fingerprint())
    assert not (tmp_path / STUDY_FILE).exists()
    create_study(tmp_path, fingerprint()).close()
    assert [path.name for path in tmp_path.iterdir()] == [STUDY_FILE]


def test_an_empty_file_of_a_program_that_came_too_early_is_no_study(tmp_path: Path) -> None:
    (tmp_path / STUDY_FILE).write_bytes(b"")
    create_study(tmp_path, fingerprint()).close()
    assert open_study(tmp_path).records() == []


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def other_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()


def other_study(path: Path) -> None:
    optuna.create_study(study_name="theirs", storage=f"sqlite:///{path}")._storage.remove_session()  # type: ignore[attr-defined]


def torn(path: Path) -> None:
    create_study(path.parent, fingerprint()).close()
    content = bytearray(path.read_bytes())
    content[8192 : len(content) // 2] = b"\xff" * (len(content) // 2 - 8192)
    path.write_bytes(content)


@pytest.mark.parametrize("make", [empty, noise, other_program, other_study, torn])
def test_a_file_that_is_no_study_is_refused_and_not_touched(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / STUDY_FILE
    make(path)
    before = path.read_bytes()
    for opening in (open_study, lambda folder: resume_study(folder, fingerprint())):
        with pytest.raises(
            ValueError, match=r"^a study must (have been made by nas search|be an? \w*\s?database)"
        ) as no:
            opening(tmp_path)
        assert "\n" not in str(no.value)
        assert str(path) in str(no.value)
    assert path.read_bytes() == before


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"a study must be a folder with study\.db, there is none in {tmp_path}"):
        open_study(tmp_path)


def test_a_study_of_another_format_is_refused(study: Study) -> None:
    study.set_attribute("fingerprint", {**fingerprint(), "format": 99})
    with pytest.raises(StudyMismatchError, match="format must be 1, got 99"):
        open_study(study.folder)
