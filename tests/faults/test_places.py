"""Places that a program runs in: without streams, home or room, in threads and daemons, with broken settings."""

from __future__ import annotations

import errno
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from engine import FakeExecutor, Setting

from nas.cli import main
from nas.cli.common.signals import stop_on_signals
from nas.config.budget import Budget
from nas.jobs import EndReason, cache_folder
from nas.jobs.streams import output_named
from nas.study.storage.errors import StorageError
from nas.study.storage.sqlite import SqliteStore
from nas.tabular.simulation import pool

SMALL = ["tracking=none", "budget.trials=1", "training.epochs=1", "workers.slots=1"]


class Running:
    """Run that notes its stops."""

    def __init__(self) -> None:
        self.stops: list[EndReason] = []

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        self.stops.append(reason)


def test_a_run_in_a_thread_leaves_the_programs_signals_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with stop_on_signals(Running()):
            seen.append("ran")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["ran"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"trials:\t1\n", "a file of settings must be YAML, {path}:1:8 is not: found character '\\t'"),
        (b'trials: "1\n', "a file of settings must be YAML, {path}:2:1 is not: found unexpected end of stream"),
        (b"trials: [1\n", "a file of settings must be YAML, {path}:2:1 is not"),
        (b"trials: 1 # caf\xe9\n", "a file of settings must be UTF-8, {path} is not: invalid continuation byte"),
        (b"- 1\n", "in budget/mine.yaml"),
    ],
)
def test_a_broken_file_of_settings_is_named_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, words: str
) -> None:
    path = tmp_path / "budget" / "mine.yaml"
    path.parent.mkdir()
    path.write_bytes(content)
    assert main(["search", f"--config-dir={tmp_path}", "budget=mine", f"outputs={tmp_path}/out"]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert words.format(path=path) in said


@pytest.mark.parametrize("streams", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_opened_on_the_null_device(streams: tuple[int, ...], tmp_path: Path) -> None:
    """Run a command whose standard streams are closed, and look at them from inside."""
    said = tmp_path / "said"
    program = (
        "import os, sys\nfrom nas.cli import main\ncode = main(['--version'])\n"
        f"names = [os.readlink(f'/proc/self/fd/{{n}}') for n in {streams}]\n"
        "print('printed', file=sys.stderr)\nprint('printed', flush=True)\n"
        f"open({str(said)!r}, 'w').write(f'{{code}} {{names}}')\n"
    )
    redirections = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in streams)
    command = f'"{sys.executable}" -c "$PROGRAM" {redirections}'
    environment = {**os.environ, "PROGRAM": program}
    assert subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=False).returncode == 0
    assert said.read_text() == f"0 {['/dev/null'] * len(streams)}"


class FullDisk(io.StringIO):
    """Stream whose device is full."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_output_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", FullDisk())
    with pytest.raises(OSError, match="No space left on device: 'standard output'"), output_named():
        print("a front")


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["--help"], "nas: No space left on device: standard output\n"),
        (["describe", "reference=googlenet"], "nas describe: No space left on device: standard output\n"),
        (["search", "--cfg", "job"], "nas search: No space left on device\n"),
    ],
)
def test_a_full_device_as_output_is_one_line_and_no_success(words: list[str], law: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nas", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, law)


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folder of temporary files of a user without a home folder and without an entry."""

    def unknown(*_: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(cache_folder.platformdirs, "user_cache_path", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache_folder._usable_folder.cache_clear()
    return tmp_path


def test_without_a_home_images_are_kept_among_temporary_files(no_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = [cache_folder.user_cache_folder() for _ in range(2)]
    assert found == [no_home / f"inception-nas-{os.getuid()}"] * 2
    assert found[0].stat().st_mode & 0o777 == 0o700
    assert [record.getMessage() for record in caplog.records] == [
        f"cached files are kept in {found[0]}, as there is no home folder; NAS_CACHE_DIR names another folder"
    ]


def test_a_home_that_cannot_be_written_is_no_cache(
    no_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (no_home / "file").touch()
    monkeypatch.setattr(cache_folder.platformdirs, "user_cache_path", lambda _: no_home / "file" / "cache")
    assert cache_folder.user_cache_folder() == no_home / f"inception-nas-{os.getuid()}"
    assert f"{no_home}/file/cache can't be written to" in caplog.text


@pytest.mark.parametrize("planted", ["link", "open"])
def test_a_folder_that_others_could_fill_is_refused(no_home: Path, planted: str) -> None:
    folder = no_home / f"inception-nas-{os.getuid()}"
    if planted == "link":
        (no_home / "elsewhere").mkdir()
        folder.symlink_to(no_home / "elsewhere")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(ValueError, match=r"must be this user's alone, .* is not: set NAS_CACHE_DIR"):
        cache_folder.user_cache_folder()


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ("size=64k", "the disk must have room for the study"),
        ("ro", "Read-only file system"),
    ],
)
def test_a_disk_on_which_no_study_can_be_created_is_one_line(
    mount: Callable[[str], Path], capfd: pytest.CaptureFixture[str], options: str, law: str
) -> None:
    folder = mount(options)
    assert main(["search", *SMALL, "study=s", f"outputs={folder}"]) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("nas search: ")
    assert law in last
    assert str(folder) in last


def test_a_full_disk_leaves_no_half_of_a_study(mount: Callable[[str], Path]) -> None:
    folder = mount("size=64k")
    store = SqliteStore(folder)
    with pytest.raises(StorageError, match="the disk must have room for the study, got database or disk is full"):
        store.create(lambda storage, name: storage.create_new_study([], name))  # type: ignore[arg-type]
    assert not store.exists()
    assert [path.name for path in folder.iterdir()] == []


@pytest.mark.parametrize(("length", "method"), [(20, "forkserver"), (71, "spawn"), (200, "spawn")])
def test_simulations_need_no_socket_in_a_folder_whose_path_is_long(
    monkeypatch: pytest.MonkeyPatch, length: int, method: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/" + "t" * (length - 1))
    assert pool._context().get_start_method() == method


def test_a_study_that_is_deleted_while_it_is_searched_is_named_and_no_empty_file_takes_its_place(
    tmp_path: Path,
) -> None:
    setting = Setting(budget=Budget(trials=50))
    path = tmp_path / "s" / "study.db"

    def delete(waits: int) -> None:
        if waits == 4:
            for file in path.parent.glob("study.db*"):
                file.unlink()

    with pytest.raises(StorageError, match="the study must stay where it is while a search runs") as failure:
        setting.run(tmp_path / "s", FakeExecutor(before_wait=delete))
    assert str(path) in str(failure.value)
    assert not path.exists()
