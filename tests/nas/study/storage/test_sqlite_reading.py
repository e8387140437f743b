"""Readers of a study in SQLite write nothing, and see what its search has written."""

from __future__ import annotations

import math
import shutil
import sqlite3
from pathlib import Path

import pytest
from engine import candidate, curve, fingerprint, rejected
from optuna.trial import TrialState

from nas.jobs import Failure
from nas.study.storage import sqlite_reading
from nas.study.storage.errors import StorageError
from nas.study.storage.sqlite import SqliteStore
from nas.study.study import Study, create_study, open_study
from nas.study.summary import open_for_reading
from nas.study.training_state import TrainingState

FILES = ("study.db", "study.db-wal", "study.db-shm")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def add(study: Study, number: int) -> None:
    assert study.add(candidate(2 * number, rejected=(rejected(2 * number - 1),))) == number
    study.store_training(number, curve(2, 0.5), TrainingState(attempt=1, clock=4.0))
    study.tell(number, {"val_accuracy": 0.5, "macs": 1e4})


@pytest.fixture
def driven(tmp_path: Path) -> Study:
    """A study with one trial, whose connection is open: the trial is in the write-ahead log alone."""
    (tmp_path / "mine").mkdir()
    study = create_study(tmp_path / "mine", fingerprint())
    add(study, 0)
    assert (tmp_path / "mine" / "study.db-wal").stat().st_size > 0
    return study


@pytest.fixture
def idle(driven: Study) -> Path:
    driven.close()
    assert sorted(tree(driven.folder)) == ["study.db"]
    return driven.folder


def test_a_reader_of_an_idle_study_touches_no_file(idle: Path) -> None:
    before = tree(idle)
    reader = open_for_reading(idle)
    assert len(reader.front_document()["front"]) == 1
    assert reader.status_document()["trials"]["complete"] == 1
    assert reader.records[0].candidate.params == candidate().params
    assert len(reader.study.as_optuna().trials) == 1
    reader.study.close()
    assert tree(idle) == before


def test_a_reader_of_a_driven_study_sees_what_is_in_the_log_alone(driven: Study) -> None:
    reader = open_for_reading(driven.folder)
    assert [record.values for record in reader.records] == [{"val_accuracy": 0.5, "macs": 1e4}]
    add(driven, 1)
    assert len(reader.reread().records) == 2
    assert sorted(tree(driven.folder)) == sorted(FILES)


def test_a_log_without_its_index_is_read_from_a_copy(driven: Study, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in FILES[:2]:
        shutil.copyfile(driven.folder / name, copied / name)
    before = tree(copied)
    assert len(open_for_reading(copied).records) == 1
    assert tree(copied) == before


def test_a_study_that_a_killed_writer_left_in_rollback_mode_is_read_as_before_its_transaction(idle: Path) -> None:
    path = idle / "study.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA cache_size=1; BEGIN; DELETE FROM trial_values; UPDATE trials SET number = 7")
    half = idle.parent / "half"
    half.mkdir()  # the state of the folder in the middle of a transaction
    connection.execute("PRAGMA cache_spill=1")
    for name in ("study.db", "study.db-journal"):
        shutil.copyfile(idle / name, half / name)
    connection.close()
    assert (half / "study.db-journal").stat().st_size > 0
    before = tree(half)
    assert [record.number for record in open_for_reading(half).records] == [0]
    assert tree(half) == before


def test_what_a_writer_changes_during_an_immutable_read_is_read_again(idle: Path) -> None:
    path, seen = idle / "study.db", []

    def act(connection: sqlite3.Connection) -> int:
        found = int(connection.execute("SELECT count(*) FROM trials").fetchone()[0])
        if not seen:  # while this is read, a search stores a trial and ends
            study = open_study(idle)
            add(study, 1)
            study.close()
        seen.append(found)
        return found

    assert sqlite_reading.read_file(path, act, 1.0) == 2
    assert seen[-1] == 2
    assert len(seen) > 1


def test_a_file_that_never_rests_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close()
    calls: list[int] = []

    def act(_: sqlite3.Connection) -> None:
        calls.append(len(calls))
        with path.open("ab") as file:
            file.write(b"x")

    with pytest.raises(StorageError, match=r"must stay as it is while it is read, .*study\.db changed in each of 8"):
        sqlite_reading.read_file(path, act, 1.0)
    assert len(calls) == sqlite_reading.TRIES


def test_a_store_for_reading_refuses_to_write(idle: Path) -> None:
    study = Study(SqliteStore(idle, reading=True), idle)
    before = tree(idle)
    with pytest.raises(StorageError, match="must stay writable"):
        study.set_attribute("tail", {})
    assert tree(idle) == before


def test_rows_read_at_once_equal_what_optuna_reads(driven: Study) -> None:
    add(driven, 1)
    driven.fail(driven.add(candidate(9)), Failure("died", "gone"))
    ours, optunas = driven._store.trials()[0], driven.as_optuna().trials
    assert len(ours) == len(optunas) == 3
    for one, other in zip(ours, optunas, strict=True):
        assert (one.number, one.state, one.values) == (other.number, other.state, other.values)
        assert dict(one.user_attrs) == other.user_attrs
        assert dict(one.system_attrs) == other.system_attrs
        assert one.constraints == other.constraints
        assert one.params == other.params
        assert list(one.params) == list(other.params)
        assert one.distributions == other.distributions


def test_infinite_values_are_read_as_infinite(driven: Study) -> None:
    number = driven.add(candidate(9))
    driven._store.end_trial(driven._trial_id(number), TrialState.COMPLETE, [-math.inf, math.inf])
    assert driven._store.trials()[0][number].values == [-math.inf, math.inf]


def test_parameters_are_not_read_before_they_are_asked_for(idle: Path) -> None:
    reader = open_for_reading(idle)
    reader.front_document()
    with sqlite3.connect(idle / "study.db") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("UPDATE trial_params SET param_value = 12 WHERE param_name = 'stem.width'")
    assert reader.records[0].candidate.params["stem.width"] == 12
