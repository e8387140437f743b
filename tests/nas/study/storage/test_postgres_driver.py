"""Driver lock in PostgreSQL: one driver a study, over restarts of the server."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from engine import FakeExecutor, Setting, candidate, fingerprint, told
from postgres_server import Database

from nas.config.budget import Budget
from nas.search.driver import Search
from nas.study.storage import postgres as postgres_module
from nas.study.storage.errors import StorageError, StudyLockedError
from nas.study.storage.factory import locked_store
from nas.study.storage.postgres import PostgresStore, StudyTakenError
from nas.study.study import Study, create_study, resume_study
from nas.study.summary import open_for_reading
from nas.study.trial import Record

HOLD = """
import sys
from pathlib import Path
from nas.study.storage.factory import locked_store
from nas.study.study import create_study, resume_study
folder = Path(sys.argv[1])
made_with = {"objectives": [{"name": "macs", "direction": "minimize", "log": False, "best": 0.0, "worst": 1.0}]}
with locked_store(folder, "postgres") as store:
    (resume_study if store.exists() else create_study)(folder, made_with, store)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def driven(folder: Path) -> Iterator[tuple[Study, PostgresStore]]:
    """Create or resume the study of a folder with this process as its driver."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked_store(folder, "postgres") as store:
        assert isinstance(store, PostgresStore)
        act = resume_study if store.exists() else create_study
        yield act(folder, fingerprint(), store), store


@contextmanager
def other_machine(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process, with a folder of its own, that drives the study of this name, and kill it at the end."""
    elsewhere = folder.parent / "elsewhere" / folder.name
    elsewhere.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(elsewhere)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_driver_is_refused_by_name_until_the_first_is_killed(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with other_machine(folder) as process:
        expected = re.escape(f"mine in PostgreSQL at 127.0.0.1:{database.server.port}/{database.name} is driven by ")
        expected += f"process {process.pid} on {re.escape(socket.gethostname())} since 20"
        for _ in range(2):
            with pytest.raises(
                StudyLockedError, match=f"^one search at a time may drive a study, {expected}"
            ) as refused:
                driven(folder).__enter__()
            assert "\n" not in str(refused.value)
        reader = open_for_reading(folder, "postgres")
        assert reader.study.is_driven()
        process.kill()
        process.wait()
    made_with = dict(reader.study.fingerprint)
    with locked_store(folder, "postgres") as store:
        resumed = resume_study(folder, {"objectives": made_with["objectives"]}, store)
        assert resumed.is_driven()
    assert not reader.study.is_driven()
    reader.study.close()


def test_a_driver_without_a_record_still_holds_the_lock(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    elsewhere = tmp_path / "elsewhere" / "mine"
    for path in (folder, elsewhere):
        path.mkdir(parents=True)
    with (
        locked_store(elsewhere, "postgres"),
        pytest.raises(StudyLockedError, match="is driven by another process that has just started"),
        locked_store(folder, "postgres"),
    ):
        pass


def test_studies_of_other_names_and_other_schemas_are_driven_at_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.sql("CREATE SCHEMA other")
    with driven(tmp_path / "a" / "mine"), driven(tmp_path / "yours"):
        monkeypatch.setenv("NAS_STORAGE_URL", f"{database.url}?options=-csearch_path%3Dother")
        with driven(tmp_path / "b" / "mine") as (study, _):
            assert study.add(candidate()) == 0
    assert database.sql("SELECT count(*) FROM other.trials") == "1"
    assert database.sql("SELECT count(*) FROM public.trials") == "0"


def restart(database: Database, pause: float = 0.0) -> None:
    """Crash the server and start it again after a pause."""
    database.server.stop("immediate")
    threading.Timer(pause, database.server.start).start() if pause else database.server.start()


def test_a_driver_reacquires_its_lock_and_writes_on_after_a_restart(database: Database, tmp_path: Path) -> None:
    with driven(tmp_path / "mine") as (study, _):
        study.add(candidate(0))
        restart(database, pause=0.5)
        assert study.add(candidate(1)) == 1
        with pytest.raises(StudyLockedError, match=f"is driven by process {os.getpid()} on"):
            driven(tmp_path / "elsewhere" / "mine").__enter__()
        assert [record.candidate.ask for record in study.records()] == [0, 1]


def asked_within_a_moment(study: Study) -> bool:
    until = time.monotonic() + 20
    while not study.take_stop_request():
        assert time.monotonic() < until
        time.sleep(0.01)
    return True


def test_a_driver_reacquires_a_lost_lock_before_it_writes(database: Database, tmp_path: Path) -> None:
    """Lose the lock, and look for a request to stop, as the driver does twice a second."""
    with driven(tmp_path / "mine") as (study, store):
        database.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        until = time.monotonic() + 20
        while not (study.is_driven() and store.is_driven()):
            assert not study.take_stop_request()
            assert time.monotonic() < until
        study.request_stop()
        assert asked_within_a_moment(study)
        assert not study.take_stop_request()


def test_a_lost_connection_that_the_server_takes_for_alive_is_terminated(database: Database, tmp_path: Path) -> None:
    """Lose the connection as in a short failure of the driver's network."""
    with driven(tmp_path / "mine") as (study, store):
        assert store._lock is not None
        before = store._lock._connection
        socket_of_it = os.dup(before.fileno())
        before.close = lambda: None  # type: ignore[method-assign]  # the server's side stays open
        store._lock._connection = _Gone()
        study.add(candidate())
        assert store._lock._connection is not before
        os.close(socket_of_it)
        type(before).close(before)
    assert not status(tmp_path / "mine")["driven"]


class _Gone:
    """Connection that transmits nothing any more."""

    def execute(self, *_: object) -> None:
        import psycopg  # noqa: PLC0415 - of an extra

        raise psycopg.OperationalError("could not receive data from server: Connection timed out")

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("ended", [False, True], ids=["it still drives", "it has ended"])
def test_a_driver_stops_if_another_has_had_the_study_meanwhile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    folder = tmp_path / "mine"
    made_with = {"objectives": fingerprint()["objectives"]}
    with driving_in(folder, made_with) as study:
        elsewhere = tmp_path / "elsewhere" / "mine"
        elsewhere.mkdir(parents=True)
        database.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with locked_store(elsewhere, "postgres") as store:
            resume_study(elsewhere, made_with, store).add(candidate(0))
            if not ended:
                with pytest.raises(StudyTakenError, match=TAKEN):
                    study.add(candidate(1))
        for _ in range(2):
            with pytest.raises(StudyTakenError, match=TAKEN):
                study.add(candidate(1))
    assert database.sql("SELECT count(*) FROM trials") == "1"


TAKEN = (
    rf"^a search goes on alone, but mine in PostgreSQL at \S+ was taken over by process {os.getpid()} on \S+.* while"
)


@contextmanager
def driving_in(folder: Path, made_with: dict[str, Any]) -> Iterator[Study]:
    folder.mkdir(parents=True, exist_ok=True)
    with locked_store(folder, "postgres") as store:
        yield create_study(folder, made_with, store)


@dataclass
class InPostgres(Setting):
    """A search whose study is in the database."""

    def run(self, folder: Path, executor: FakeExecutor | None = None) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        with locked_store(folder, "postgres") as store:
            return self._search(folder, executor or FakeExecutor(), store).run()

    def _search(self, folder: Path, executor: FakeExecutor, store: Any) -> Search:
        made_with = fingerprint(self.objectives, space=dict(self.space))
        act = resume_study if store.exists() else create_study
        study = act(folder, made_with, store)
        other = replace(self)
        other.study = lambda _: study  # type: ignore[method-assign]
        return Setting.search(other, folder, executor)


def stored_trials(folder: Path) -> list[tuple[Any, ...]]:
    """Return the trials as `told` does, from the database."""
    reader = open_for_reading(folder, "postgres")
    reader.study.close()
    return [_row(record) for record in reader.records]


def _row(r: Record) -> tuple[Any, ...]:
    return (r.number, r.state, r.candidate.ask, dict(r.candidate.params), r.candidate.network_id, r.values, r.curve)


def at(moment: int, act: Callable[[], object]) -> Callable[[int], None]:
    def before_wait(waits: int) -> None:
        if waits == moment:
            act()

    return before_wait


def status(folder: Path) -> dict[str, Any]:
    """Return the status that a reader sees, once the server accepts it."""
    until = time.monotonic() + 20
    while True:
        try:
            reader = open_for_reading(folder, "postgres")
        except StorageError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            document = reader.status_document()
            reader.study.close()
            return document


def test_a_search_over_a_restart_equals_one_in_sqlite(database: Database, tmp_path: Path) -> None:
    setting, calm = InPostgres(budget=Budget(trials=8)), Setting(budget=Budget(trials=8))
    looks: list[int] = []

    def look_on(waits: int) -> None:
        """Read the status, and crash the server in the middle of the search."""
        document = status(tmp_path / "elsewhere" / "mine")
        looks.append(document["trials"]["complete"])
        assert document["driven"] or waits == 8  # just after the crash the driver may not have looked yet
        if waits == 7:
            restart(database, pause=0.3)

    assert setting.run(tmp_path / "mine", FakeExecutor(2, before_wait=look_on)) == "budget"
    calm.run(tmp_path / "calm", FakeExecutor(2))
    assert stored_trials(tmp_path / "mine") == told(tmp_path / "calm")
    assert looks == sorted(looks)
    assert looks[-1] > looks[0] == 0


def test_a_search_stops_if_the_database_stays_unreachable_and_resumes_later(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "DRIVER_PATIENCE", 0.3)
    setting = InPostgres(budget=Budget(trials=8))
    executor = FakeExecutor(2, before_wait=at(7, lambda: database.server.stop("immediate")))
    try:
        law = r"^the study's database must be reachable, got .* Connection refused"
        with pytest.raises(StorageError, match=law) as end:
            setting.run(tmp_path / "mine", executor)
        assert "\n" not in str(end.value)
        assert executor.closed
    finally:
        database.server.start()
    assert setting.run(tmp_path / "mine", FakeExecutor(2)) == "budget"
    Setting(budget=Budget(trials=8)).run(tmp_path / "calm", FakeExecutor(2))
    assert stored_trials(tmp_path / "mine") == told(tmp_path / "calm")


def test_a_second_interrupt_ends_the_wait_for_the_database(database: Database, tmp_path: Path) -> None:
    setting = InPostgres(budget=Budget(trials=8))
    (tmp_path / "mine").mkdir()
    try:
        with locked_store(tmp_path / "mine", "postgres") as store:
            executor = FakeExecutor(2)
            search = setting._search(tmp_path / "mine", executor, store)

            def away() -> None:
                database.server.stop("immediate")
                threading.Timer(0.3, lambda: search.stop("interrupted", at_once=True)).start()

            executor.before_wait = at(3, away)
            began = time.monotonic()
            with pytest.raises(StorageError, match="the study's database must be reachable"):
                search.run()
            assert time.monotonic() - began < 10 < postgres_module.DRIVER_PATIENCE
            assert executor.closed
    finally:
        database.server.start()
