"""Files that are complete or not written at all; hashes, and the chain of causes of an error."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nas.cli import main
from nas.jobs import Failure, FailureKind
from nas.jobs.failures import disk_failure, exception_chain
from nas.jobs.files import atomic_path, read_json, temporary_folder, write_json, write_text
from nas.jobs.hashes import content_hash, derived_seed
from nas.reports.figures import draw_front
from nas.study.storage.folder_owner import write_owner
from nas.study.study import open_study
from nas.tabular.table import write_parquet

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "studies"

KILLED_HALFWAY = """
import os, signal, sys
from pathlib import Path
from typing import Any
from nas.jobs.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _write_half(path: Path, error: BaseException) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


def test_a_file_is_replaced_when_the_block_ends_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert (temporary.parent, temporary.name[0], temporary.suffix) == (tmp_path, ".", ".part")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_after_an_error_the_old_file_stays_and_the_temporary_one_is_removed(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "front.json"
    path.write_text("old")
    with pytest.raises(type(error)):
        _write_half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    path.write_text("old")
    ran = subprocess.run([sys.executable, "-c", KILLED_HALFWAY, str(path)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_writers_of_one_file_do_not_meet_in_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with atomic_path(path) as first, atomic_path(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ended last
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "none" / "front.json"
    with pytest.raises(FileNotFoundError) as raised:
        write_text(path, "new")
    assert raised.value.filename == str(path)


def test_an_error_behind_another_names_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "attempt1-epoch001.pt"
    error = RuntimeError("unexpected position")
    error.__context__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(RuntimeError):
        _write_half(path, error)
    assert disk_failure(error) == Failure(FailureKind.DISK_FULL, f"No space left on device: {path}")


def test_a_full_disk_leaves_the_old_file(mount: Callable[[str], Path]) -> None:
    path = mount("size=16k") / "front.json"
    write_text(path, "old")
    with pytest.raises(OSError) as raised:
        write_text(path, "x" * 2**16)
    assert raised.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_is_replaced_and_followed_only_if_asked_to(tmp_path: Path) -> None:
    target, link, own = tmp_path / "target", tmp_path / "link", tmp_path / "own"
    target.write_text("old")
    for path in (link, own):
        path.symlink_to(target)
    write_text(own, "new")
    assert (own.is_symlink(), own.read_text(), target.read_text()) == (False, "new", "old")
    write_text(link, "new", follow_link=True)
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    write_text(Path(os.devnull), "nothing", follow_link=True)
    assert not Path(os.devnull).is_file()


def test_a_pipe_in_the_place_of_a_file_is_replaced_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.html")
    write_text(tmp_path / "report.html", "new")
    assert (tmp_path / "report.html").read_text() == "new"
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(ValueError, match=r"result\.json must hold a JSON object: it is no file"):
        read_json(tmp_path / "result.json")


def test_what_a_killed_process_left_is_swept_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    subprocess.run([sys.executable, "-c", KILLED_HALFWAY, str(path)], check=False)
    kept = [".front.json.0123456.part", ".other.json.01234567.part", "front.json.01234567.part", ".front.json.part"]
    for name in kept:
        (tmp_path / name).write_text("of somebody else")
    victim = tmp_path / "victim"
    victim.write_text("old")
    (tmp_path / ".front.json.0a1b2c3d.part").symlink_to(victim)
    write_text(path, "new")
    assert {found.name for found in tmp_path.iterdir()} == {"front.json", "victim", ".front.json.0a1b2c3d.part", *kept}
    assert victim.read_text() == "old"


def test_a_folder_of_a_killed_process_is_swept_and_one_in_use_is_not(tmp_path: Path) -> None:
    for name in (".6-abcd_123.partial", ".61-abcd0123.partial", ".6-notes.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text("half")
    with temporary_folder(tmp_path, ".6-") as first, temporary_folder(tmp_path, ".6-") as second:
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {first.name, second.name, ".61-abcd0123.partial", ".6-notes.partial"}
    assert {path.name for path in tmp_path.iterdir()} == {".61-abcd0123.partial", ".6-notes.partial"}


def test_a_document_is_read_back_and_anything_else_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert read_json(path) is None
    write_json(path, {"name": "é"})
    assert path.read_text(encoding="utf-8") == '{\n  "name": "é"\n}\n'
    assert read_json(path) == {"name": "é"}
    for text in ("{", "3"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"result\.json must hold a JSON object"):
            read_json(path)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file fail once its content is written, before it is in place."""

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nas.jobs.files.os.fsync", fail)


def _draw(path: Path) -> None:
    study = open_study(GOLDEN / "repeated")
    draw_front(study.records(), study.believer, "front", path)


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("front.png", _draw),
        ("table.parquet", lambda path: write_parquet(pd.DataFrame({"seed": [0]}), {}, path)),
        ("study.json", lambda path: write_owner(path.parent, "identity")),
        ("environment.json", lambda path: write_json(path, {"cpu": "a"})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_full_disk_leaves_the_old_file_of_every_writer(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    (tmp_path / name).write_text("old")
    with pytest.raises(OSError, match="No space left on device"):
        write(tmp_path / name)
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(GOLDEN / "repeated", tmp_path / "repeated")
    report = tmp_path / "repeated" / "report.html"
    report.write_text("old")
    assert main(["report", "study=repeated", f"outputs={tmp_path}"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert report.read_text() == "old"


def test_a_temporary_folder_is_removed_unless_it_was_renamed(tmp_path: Path) -> None:
    with temporary_folder(tmp_path, ".bundle-") as folder:
        (folder / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []
    with temporary_folder(tmp_path, ".bundle-") as folder:
        (folder / "file").write_text("x")
        folder.rename(tmp_path / "bundle")
    assert [path.name for path in tmp_path.rglob("*")] == ["bundle", "file"]


def test_the_errors_behind_an_error_are_found_in_order() -> None:
    first, second, third = KeyError("first"), OSError("second"), ValueError("third")
    second.__cause__, second.__context__ = first, RuntimeError("not the cause")
    third.__context__ = second
    assert list(exception_chain(third)) == [third, second, first]


def test_a_hash_is_of_the_joined_parts_and_a_seed_of_its_first_bits() -> None:
    # SHA-256 of "abc": FIPS 180-2, appendix B.1.
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_hash(["a", b"b", memoryview(b"c")]) == known
    assert derived_seed("abc", 32) == 0xBA7816BF
    assert derived_seed("abc", 31) == 0xBA7816BF >> 1


def test_a_folder_that_is_swept_before_it_is_opened_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, mkdir = list[Path](), Path.mkdir

    def swept(path: Path, *arguments: Any, **options: Any) -> None:
        mkdir(path, *arguments, **options)
        made.append(path)
        if len(made) == 1:
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", swept)
    with temporary_folder(tmp_path, "it-") as folder:
        assert folder.is_dir()
    assert len(made) == 2
