"""One driver a study: refused with a name, and free again however the holder ends."""

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

from nas.study.lock import LOCK_FILE, StudyHeldError, StudyLock, is_held

HOLD = """
import sys
from pathlib import Path
from nas.study.lock import StudyLock
lock = StudyLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert is_held(tmp_path)
        expected = (
            f"one search at a time may drive a study, {tmp_path} is driven by process {process.pid} on "
            f"{socket.gethostname()} since 20"
        )
        with pytest.raises(StudyHeldError) as refused:
            StudyLock(tmp_path)
        assert str(refused.value).startswith(expected)
        assert is_held(tmp_path)


def test_the_lock_comes_back_when_its_holder_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
    assert not is_held(tmp_path)
    with StudyLock(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_a_released_lock_can_be_taken_again_and_released_twice(tmp_path: Path) -> None:
    lock = StudyLock(tmp_path)
    with pytest.raises(StudyHeldError, match=f"process {os.getpid()} on"):
        StudyLock(tmp_path)
    lock.release()
    lock.release()
    StudyLock(tmp_path).release()


def test_what_was_never_driven_is_not_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not is_held(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 3}', "nonsense"])
def test_a_holder_that_has_not_said_who_it_is_yet_still_holds(tmp_path: Path, content: str) -> None:
    with StudyLock(tmp_path):
        (tmp_path / LOCK_FILE).write_text(content)
        with pytest.raises(StudyHeldError, match="is driven by another process that has just started"):
            StudyLock(tmp_path)


def test_a_look_at_the_lock_does_not_refuse_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that asks `is_held` holds the lock for a moment; the driver tries again."""
    StudyLock(tmp_path).release()
    with (tmp_path / LOCK_FILE).open() as reader:
        import fcntl  # noqa: PLC0415 - the reader's side, spelt out

        fcntl.flock(reader, fcntl.LOCK_SH)
        monkeypatch.setattr("nas.study.lock.time.sleep", lambda _: fcntl.flock(reader, fcntl.LOCK_UN))
        StudyLock(tmp_path).release()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        StudyLock(tmp_path / "file")
