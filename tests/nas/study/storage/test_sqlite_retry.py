"""Retries of writes to SQLite, and the end of a search on a locked, full or read-only disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine import FakeExecutor, FakeHandle, Setting, candidate, fingerprint, told
from optuna.exceptions import StorageInternalError

from nas.config.budget import Budget
from nas.jobs import Outcome
from nas.jobs.failures import disk_failure
from nas.study.storage import sqlite as sqlite_module
from nas.study.storage import sqlite_retry
from nas.study.storage.errors import StorageError
from nas.study.storage.sqlite import STUDY_FILE
from nas.study.storage.sqlite_retry import retry_while_busy
from nas.study.study import create_study

Mount = Callable[[str], Path]


def test_a_write_is_repeated_until_the_lock_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "LOCK_TIMEOUT", 0.01)
    tries: list[float] = []
    with closing(create_study(tmp_path, fingerprint())) as study:
        study.add(candidate())
        with closing(sqlite3.connect(tmp_path / STUDY_FILE, check_same_thread=False)) as other:
            other.execute("BEGIN EXCLUSIVE")

            def pause(seconds: float) -> None:
                tries.append(seconds)
                if len(tries) == 3:
                    other.rollback()

            monkeypatch.setattr(sqlite_retry.time, "sleep", pause)
            study.set_attribute("budget", {"trials": 7})
        assert study.attribute("budget") == {"trials": 7}
    assert tries == [0.5, 1.0, 2.0]


def test_a_lock_beyond_the_last_try_is_an_error_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "LOCK_TIMEOUT", 0.01)
    monkeypatch.setattr(sqlite_retry, "PAUSES", (0.0, 0.0))
    with closing(create_study(tmp_path, fingerprint())) as study:
        with closing(sqlite3.connect(tmp_path / STUDY_FILE)) as other:
            other.execute("BEGIN EXCLUSIVE")
            law = "the study must be free for its search to write, another process held it through every try"
            with pytest.raises(StorageError, match=rf"{law}, got database is locked for .*study\.db"):
                study.set_attribute("budget", {"trials": 7})
        study.set_attribute("budget", {"trials": 8})
        assert study.attribute("budget") == {"trials": 8}


def test_an_error_of_another_kind_passes_unchanged() -> None:
    def wrong() -> None:
        raise StorageInternalError("a value too long")

    with pytest.raises(StorageInternalError, match="a value too long"):
        retry_while_busy(wrong, "study.db")


def fill(folder: Path, spare: int) -> Path:
    """Write a file that leaves about `spare` bytes of its file system."""
    path = folder / "ballast"
    space = os.statvfs(folder)
    path.write_bytes(b"\0" * (space.f_bavail * space.f_frsize - spare))
    return path


@dataclass
class DiskExecutor(FakeExecutor):
    """Executor whose trainings fail, as real ones do, when their checkpoint can't be written."""

    def _step(self, handle: FakeHandle) -> Outcome | None:
        try:
            return super()._step(handle)
        except OSError as error:
            return Outcome(handle.job, tuple(handle.rows[:-1]), None, disk_failure(error))


def at(moment: int, act: Callable[[], object]) -> Callable[[int], None]:
    return lambda waits: None if waits != moment else void(act())


def void(_: object) -> None:
    """Return None for any value."""


@pytest.mark.parametrize("spare", [0, 8192])
def test_a_search_stops_on_a_full_disk_and_resumes_with_equal_results(mount: Mount, tmp_path: Path, spare: int) -> None:
    folder = mount("size=4m")
    setting = Setting(budget=Budget(trials=8))
    executor = DiskExecutor(2, before_wait=at(7, lambda: fill(folder, spare)))
    with pytest.raises(
        ValueError, match=r"the disk must have room for (the study|checkpoints while networks are trained)"
    ):
        setting.run(folder / "study", executor)
    assert executor.closed
    (folder / "ballast").unlink()
    with closing(sqlite3.connect(folder / "study" / STUDY_FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert setting.run(folder / "study", FakeExecutor(2)) == "budget"
    setting.run(tmp_path / "unbroken", FakeExecutor(2))
    assert told(folder / "study") == told(tmp_path / "unbroken")


def test_a_search_stops_in_a_read_only_folder_and_resumes_with_equal_results(mount: Mount, tmp_path: Path) -> None:
    folder = mount("size=16m")
    setting = Setting(budget=Budget(trials=8))

    def protect() -> None:
        """Make the folder read-only for files that are opened from now on."""
        subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)

    executor = DiskExecutor(2, before_wait=at(7, protect))
    with pytest.raises(ValueError, match=r"must stay writable while (a search runs|networks are trained)"):
        setting.run(folder / "study", executor)
    assert executor.closed
    subprocess.run(["umount", "-l", str(folder)], check=True)
    assert setting.run(folder / "study", FakeExecutor(2)) == "budget"
    setting.run(tmp_path / "unbroken", FakeExecutor(2))
    assert told(folder / "study") == told(tmp_path / "unbroken")


def test_a_search_stops_on_a_read_only_database_and_resumes_with_equal_results(tmp_path: Path) -> None:
    setting = Setting(budget=Budget(trials=4))
    executor = FakeExecutor()
    search = setting.search(tmp_path / "study", executor)

    def protect() -> None:
        storage = search._parts.study._storage
        with storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only=ON")

    executor.before_wait = at(4, protect)
    with pytest.raises(StorageError, match="the study must stay writable while a search runs, got attempt to write"):
        search.run()
    assert executor.closed
    assert setting.run(tmp_path / "study", FakeExecutor()) == "budget"
    setting.run(tmp_path / "unbroken")
    assert told(tmp_path / "study") == told(tmp_path / "unbroken")
