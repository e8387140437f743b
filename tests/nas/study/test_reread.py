"""A second reading takes only what may have changed, and finds what a full one finds."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from engine import candidate, curve, fingerprint

from nas.jobs import Failure
from nas.objectives.limits import Limits
from nas.study.storage.trial_reading import MOST_NAMED
from nas.study.study import Study, create_study, open_study
from nas.study.summary import StudyReader, open_for_reading
from nas.study.training_state import TrainingState
from nas.study.trial import Record, Repeat


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two complete trials, and a third that runs."""
    (tmp_path / "mine").mkdir()
    made = create_study(tmp_path / "mine", fingerprint())
    for number in range(3):
        made.add(candidate(number))
        made.store_training(number, curve(1, 0.5), TrainingState(attempt=1, clock=1.0 + number))
    for number in range(2):
        made.tell(number, {"val_accuracy": 0.5 + number / 10, "macs": 1e4})
    return made


def plain(records: list[Record]) -> list[object]:
    return [(r.number, r.state, r.candidate.id, r.candidate.params, r.curve, r.values, r.repeats) for r in records]


def numbers(reader: StudyReader, earlier: StudyReader) -> list[int]:
    return [record.number for record in reader.changed_since(earlier)]


def settle(folder: Path) -> None:
    """Date the files back, as if the last write were long ago."""
    for path in folder.glob("study.db*"):
        os.utime(path, (1e9, 1e9))


def test_nothing_new_is_the_same_reader(study: Study) -> None:
    study.close()
    settle(study.folder)
    reader = open_for_reading(study.folder)
    assert reader.reread() is reader
    open_study(study.folder).set_attribute("tail", {"asks": 3, "skipped": {}, "rejected": []})
    settle(study.folder)  # the size of the log alone tells
    assert reader.reread() is not reader


def test_records_that_did_not_change_are_the_same_objects(study: Study) -> None:
    first = open_for_reading(study.folder)
    assert first.reread().changed_since(first) == []
    study.store_training(2, curve(2, 0.6), TrainingState(attempt=1, clock=5.0))
    second = first.reread()
    assert numbers(second, first) == [2]
    assert len(second.records[2].curve) == 2
    assert [a is b for a, b in zip(first.records, second.records, strict=True)] == [True, True, False]
    study.fail(2, Failure("nan", "the loss became NaN"))
    study.add(candidate(3))
    third = second.reread()
    assert numbers(third, second) == [2, 3]
    assert third.records[3].candidate.params == candidate(3).params
    assert plain(third.records) == plain(open_for_reading(study.folder).records)


def test_a_repeat_changes_the_record_of_a_trial_that_had_ended(study: Study) -> None:
    first = open_for_reading(study.folder)
    study.store_repeat(0, 1, Repeat(seed=7, curve=curve(1, 0.7)))
    second = first.reread()
    assert numbers(second, first) == [0]
    study.store_repeat(0, 1, Repeat(seed=7, curve=curve(1, 0.7), values={"val_accuracy": 0.7, "macs": 1e4}))
    third = second.reread()
    assert third.records[0].values == {"val_accuracy": pytest.approx(0.6), "macs": 1e4}
    assert plain(third.records) == plain(open_for_reading(study.folder).records)


def test_rows_of_trials_that_had_ended_are_not_read(study: Study) -> None:
    first = open_for_reading(study.folder)
    with closing(sqlite3.connect(study.folder / "study.db")) as connection, connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = '7' WHERE key = 'costs' AND trial_id = 1")
    again = first.reread()
    assert [record.number for record in again.records] == [0, 1, 2]
    assert [record.number for record in open_for_reading(study.folder).records] == [1, 2]


def test_more_new_trials_than_a_query_names(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    study = create_study(tmp_path / "many", fingerprint())
    study.add(candidate(0))
    study.tell(0, {"val_accuracy": 0.5, "macs": 1e4})
    first = open_for_reading(study.folder)
    for number in range(1, MOST_NAMED + 3):
        study.add(candidate(number))
    second = first.reread()
    assert second.records[0] is first.records[0]
    assert plain(second.records) == plain(open_for_reading(study.folder).records)


def test_trials_of_other_programs_are_kept_too(study: Study) -> None:
    stored = study.as_optuna()
    stored.add_trial(optuna.trial.create_trial(values=[0.5, 1.0], params={}, distributions={}))
    first = open_for_reading(study.folder)
    assert first.study.read_records().others == {3: "has no architecture"}
    assert first.reread().changed_since(first) == []


def test_limits_hold_in_the_next_reader(study: Study) -> None:
    reader = open_for_reading(study.folder)
    reader.limit(Limits(max_macs=2e4))
    study.set_attribute("config", {"limits": {"max_params": 1e9}})
    again = reader.reread()
    assert again.study.believer.limits.by_cost == {"macs": 2e4, "params": 1e9}


def test_a_study_made_anew_under_the_name_is_opened_anew(study: Study) -> None:
    reader = open_for_reading(study.folder)
    study.close()
    shutil.rmtree(study.folder)
    study.folder.mkdir()
    other = create_study(study.folder, fingerprint(seed=2))
    other.add(candidate(5))
    again = reader.reread()
    assert [record.candidate.id for record in again.records] == [candidate(5).id]
    assert numbers(again, reader) == [0]
    assert again.study.fingerprint["seed"] == 2


def test_a_record_of_a_reader_makes_its_rows_when_they_are_asked_for(study: Study) -> None:
    record = open_for_reading(study.folder).records[1]
    assert "curve" not in vars(record)
    assert (record.epochs, record.spent) == (1, 1.0)
    assert record.curve == curve(1, 0.5)
    assert replace(record, curve=curve(2, 0.5)).seconds == 2.0
