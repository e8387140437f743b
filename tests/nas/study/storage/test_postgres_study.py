"""Studies in a real PostgreSQL: reads equal writes, each write happens once, and foreign studies stay untouched."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
from engine import candidate, curve, fingerprint, rejected
from postgres_server import Database

from nas.jobs import Failure
from nas.study.storage.factory import locked_store, make_store
from nas.study.storage.folder_owner import OWNER_FILE
from nas.study.study import Study, StudyMismatchError, create_study, open_study, resume_study
from nas.study.summary import open_for_reading
from nas.study.training_state import TrainingState

TAIL = {"asks": 3, "skipped": {"rejected": 1}, "rejected": []}
DENIED = "must let this user make its tables and write to them, got permission denied"


@contextmanager
def driven(folder: Path) -> Iterator[Study]:
    """Create or resume the study of a folder as its driver."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked_store(folder, "postgres") as store:
        act = resume_study if store.exists() else create_study
        study = act(folder, fingerprint(), store)
        yield study
        study.close()


def records(folder: Path) -> Any:
    reader = open_for_reading(folder, "postgres")
    reader.study.close()
    return reader.records


def test_trials_and_attributes_read_back_as_written(database: Database, tmp_path: Path) -> None:
    given = candidate(
        4,
        rejected=(rejected(1), rejected(3, sampler_attrs={})),
        skipped={"rejected": 2, "duplicates": 1},
        sampler_attrs={"NSGAIISampler:generation": 3},
    )
    with driven(tmp_path / "mine") as study:
        assert [study.add(given), *(study.add(candidate(n)) for n in range(5, 8))] == [0, 1, 2, 3]
        study.store_training(0, curve(1), TrainingState(attempt=1))
        study.store_training(0, curve(3, accuracy=0.875), TrainingState(attempt=2, clock=4.5))
        study.tell(0, {"macs": 5000, "val_accuracy": 0.875})
        study.fail(1, Failure("nan", "the training loss must stay finite, got nan"))
        study.prune(2)
        study.set_attribute("tail", TAIL)
    complete, failed, pruned, running = records(tmp_path / "mine")
    assert complete.candidate == given
    assert (complete.values, complete.curve) == ({"val_accuracy": 0.875, "macs": 5000.0}, curve(3, accuracy=0.875))
    assert complete.training == TrainingState(attempt=2, clock=4.5)
    assert failed.failure == Failure("nan", "the training loss must stay finite, got nan")
    assert [r.state for r in (failed, pruned, running)] == ["failed", "pruned", "running"]
    assert open_study(tmp_path / "mine", make_store(tmp_path / "mine", "postgres")).attribute("tail") == TAIL


def test_the_one_objective_of_a_study_stands_in_optunas_intermediate_values(database: Database, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with locked_store(tmp_path / "mine", "postgres") as store:
        study = create_study(tmp_path / "mine", fingerprint(("val_accuracy",)), store)
        study.report_epochs(lambda curve, costs: {"val_accuracy": curve[-1].val_accuracy})
        study.add(candidate())
        for epochs, accuracy in ((1, 0.25), (3, 0.5)):
            study.store_training(0, curve(epochs, accuracy), TrainingState(attempt=1))
        assert study.as_optuna().trials[0].intermediate_values == {1: 0.5, 2: 0.5, 3: 0.5}
        study.close()


def test_plain_optuna_reads_it(database: Database, tmp_path: Path) -> None:
    with driven(tmp_path / "mine") as study:
        study.add(candidate(0))
        study.tell(0, {"val_accuracy": 0.5, "macs": 5000})
    plain = optuna.load_study(study_name="mine", storage=database.url.replace("postgresql:", "postgresql+psycopg:"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        assert plain.metric_names == ["val_accuracy", "macs"]
    (trial,) = plain.trials
    assert trial.params == {"stem.width": 8, "stage0.reduction": "max"}
    assert trial.constraints == {"max_macs": -10.5}
    assert (trial.values, trial.user_attrs["summary"]) == ([0.5, 5000.0], "3:8 [0]")
    assert trial.datetime_start <= trial.datetime_complete
    plain._storage._backend.engine.dispose()  # type: ignore[attr-defined]  # frees the connections


def test_studies_of_one_database_are_told_apart_by_name(database: Database, tmp_path: Path) -> None:
    with driven(tmp_path / "one") as one, driven(tmp_path / "100% {x} ä'b") as two:
        assert [one.add(candidate(0)), one.add(candidate(1)), two.add(candidate(5))] == [0, 1, 0]
    assert [r.candidate.ask for r in records(tmp_path / "elsewhere" / "one")] == [0, 1]
    assert [r.candidate.ask for r in records(tmp_path / "100% {x} ä'b")] == [5]
    with pytest.raises(
        ValueError, match=r"^no study 'three' in PostgreSQL at 127\.0\.0\.1:\d+/nas_\d+; there are 100% "
    ):
        open_for_reading(tmp_path / "three", "postgres")


def test_an_empty_database_stays_empty_for_a_reader(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no study 'mine' in PostgreSQL at .*; there is none$"):
        open_for_reading(tmp_path / "mine", "postgres")
    assert database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


def test_a_study_that_no_search_made_is_refused_and_not_touched(database: Database, tmp_path: Path) -> None:
    url = database.url.replace("postgresql:", "postgresql+psycopg:")
    optuna.create_study(study_name="mine", storage=url)._storage._backend.engine.dispose()  # type: ignore[attr-defined]
    for opening in (
        lambda: open_for_reading(tmp_path / "mine", "postgres"),
        lambda: driven(tmp_path / "mine").__enter__(),
    ):
        with pytest.raises(
            ValueError, match=r"a study must have been made by nas search, mine in PostgreSQL at .* was not"
        ):
            opening()
    assert database.sql("SELECT count(*) FROM study_user_attributes") == "0"


def test_tables_of_another_optuna_are_refused_in_one_line(database: Database, tmp_path: Path) -> None:
    with driven(tmp_path / "mine"):
        pass
    database.sql("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    with pytest.raises(ValueError, match=r"PostgreSQL at .* must have the tables of Optuna 5") as refused:
        open_for_reading(tmp_path / "mine", "postgres")
    assert "\n" not in str(refused.value)


def test_a_resume_with_another_fingerprint_is_refused_with_the_difference(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with driven(folder):
        pass
    difference = "in mine in PostgreSQL at .* training.epochs is 3 in the study and 30 here. Take another study=NAME"
    with locked_store(folder, "postgres") as store, pytest.raises(StudyMismatchError, match=difference):
        resume_study(folder, fingerprint(training={"epochs": 30}), store)


def test_a_process_killed_while_it_creates_a_study_leaves_none(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_metric_names", killed)
        with pytest.raises(Killed):
            driven(tmp_path / "mine").__enter__()
    with pytest.raises(ValueError, match=r"there is none$"):
        open_for_reading(tmp_path / "mine", "postgres")
    with driven(tmp_path / "mine") as study:
        study.add(candidate())
    assert database.sql("SELECT string_agg(study_name, ' ') FROM studies") == "mine"


def test_concurrent_starts_create_the_tables_once(database: Database, tmp_path: Path) -> None:
    count, errors = 6, []
    barrier = threading.Barrier(count)

    def start(number: int) -> None:
        barrier.wait()
        try:
            with driven(tmp_path / f"study{number}") as study:
                study.add(candidate())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert database.sql("SELECT count(*) FROM trials") == str(count)
    assert database.sql("SELECT count(*) FROM version_info") == "1"


def test_a_reader_need_not_be_allowed_to_write(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with driven(tmp_path / "mine") as study:
        study.add(candidate())
        role = f"guest_of_{database.name}"
        database.sql(
            f"CREATE ROLE {role} LOGIN PASSWORD 'guest'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
        )
        monkeypatch.setenv("NAS_STORAGE_URL", database.server.url(database.name, user=role, password="guest"))
        reader = open_for_reading(tmp_path / "mine", "postgres")
        document = reader.status_document()
        assert (document["driven"], document["trials"]["running"]) == (True, 1)
        reader.study.request_stop()
        until = time.monotonic() + 20
        while not study.take_stop_request():
            assert time.monotonic() < until
        with pytest.raises(
            ValueError, match="must let this user make its tables and write to them, got permission denied"
        ):
            reader.study.set_attribute("tail", {})
        with pytest.raises(
            ValueError, match="must let this user make its tables and write to them, got permission denied"
        ):
            driven(tmp_path / "theirs").__enter__()
        reader.study.close()


def test_a_folder_belongs_to_one_study(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    with driven(folder):
        pass
    with driven(folder):  # the same study again
        pass
    with pytest.raises(ValueError, match=f"{folder} belongs to a study in PostgreSQL: add storage=postgres"):
        create_study(folder, fingerprint())
    with pytest.raises(ValueError, match=f"{folder} belongs to a study in PostgreSQL: add storage=postgres"):
        open_study(folder)
    database.sql("DELETE FROM study_user_attributes; DELETE FROM study_system_attributes; DELETE FROM study_directions")
    database.sql("DELETE FROM studies")
    with pytest.raises(ValueError, match=f"{folder} holds those of another than mine in PostgreSQL"):
        driven(folder).__enter__()
    (folder / OWNER_FILE).unlink()
    with driven(folder):
        pass


def test_a_folder_with_a_study_of_its_own_is_refused(database: Database, tmp_path: Path) -> None:
    create_study(tmp_path, fingerprint()).close()
    with pytest.raises(ValueError, match=r"holds that of its study\.db: take another study=NAME"):
        driven(tmp_path).__enter__()


Act = Callable[[Study], object]


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "act",
    [
        lambda study: study.add(candidate(1)),
        lambda study: study.tell(0, {"val_accuracy": 0.5, "macs": 5000}),
        lambda study: study.prune(0),
        lambda study: study.store_training(0, curve(2), TrainingState(attempt=1)),
        lambda study: study.set_attribute("tail", TAIL),
    ],
    ids=["add", "tell", "prune", "note", "attribute"],
)
def test_a_committed_write_whose_answer_is_lost_is_not_repeated(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    """Break the connection after the server's commit, before its answer arrives."""
    lost = []
    commit = psycopg.Connection.commit

    def commit_and_break(connection: psycopg.Connection[Any]) -> None:
        commit(connection)
        if not lost:
            lost.append(connection.info.backend_pid)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    with driven(tmp_path / "broken") as study, driven(tmp_path / "calm") as calm:
        for one in (study, calm):
            one.add(candidate(0))
        act(calm)
        monkeypatch.setattr(psycopg.Connection, "commit", commit_and_break)
        act(study)
    assert len(lost) == 1
    assert records(tmp_path / "broken") == records(tmp_path / "calm")
    with driven(tmp_path / "broken") as study:
        assert study.add(candidate(7)) == len(records(tmp_path / "calm"))
