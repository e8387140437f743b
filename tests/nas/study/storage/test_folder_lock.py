"""File lock on a study's folder: a second driver is refused with the holder's name, and a dead holder frees it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.study.storage.errors import StudyLockedError
from nas.study.storage.folder_lock import LOCK_FILE, FolderLock, is_locked

HOLD = """
import sys
from pathlib import Path
from nas.study.storage.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds the lock, and kill it at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_with_the_name_of_the_holder(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert is_locked(tmp_path)
        expected = (
            f"one search at a time may drive a study, {tmp_path} is driven by process {process.pid} on "
            f"{socket.gethostname()} since 20"
        )
        with pytest.raises(StudyLockedError) as refused:
            FolderLock(tmp_path)
        assert str(refused.value).startswith(expected)
        assert is_locked(tmp_path)


def test_the_lock_is_free_once_its_holder_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
    assert not is_locked(tmp_path)
    with FolderLock(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_a_released_lock_can_be_taken_again_and_released_twice(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(StudyLockedError, match=f"process {os.getpid()} on"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_a_folder_that_was_never_locked_is_free(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not is_locked(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 3}', "nonsense"])
def test_a_holder_without_a_readable_record_still_holds_the_lock(tmp_path: Path, content: str) -> None:
    with FolderLock(tmp_path):
        (tmp_path / LOCK_FILE).write_text(content)
        with pytest.raises(StudyLockedError, match="is driven by another process that has just started"):
            FolderLock(tmp_path)


def test_a_readers_query_does_not_refuse_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the lock while a reader's `is_locked` holds it for a moment."""
    FolderLock(tmp_path).release()
    with (tmp_path / LOCK_FILE).open() as reader:
        import fcntl  # noqa: PLC0415 - the reader's side, spelt out

        fcntl.flock(reader, fcntl.LOCK_SH)
        monkeypatch.setattr("nas.study.storage.folder_lock.time.sleep", lambda _: fcntl.flock(reader, fcntl.LOCK_UN))
        FolderLock(tmp_path).release()


def test_a_path_that_is_no_folder_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        FolderLock(tmp_path / "file")
