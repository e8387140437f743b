"""Retries of uploads, with a stand-in for `wandb sync`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from nas.tracking.wandb import upload
from nas.tracking.wandb.run_folders import remove_empty, run_folders
from nas.tracking.wandb.upload import Uploader

SYNC = """
import sys
from pathlib import Path
for folder in [word for word in sys.argv[1:] if "run-" in word]:
    (file,) = Path(folder).glob("run-*.wandb")
    with (Path(folder).parent / "attempts").open("a") as log:
        log.write(" ".join(sys.argv[1:-1]) + " " + file.stem + "\\n")
    SAY
"""
REACHES = "print(f'wandb: [p/x] View run x at http://here/t/p/runs/{file.stem[4:]}', flush=True)"
TORN = REACHES + "; print('wandb: ERROR the file ends with an incomplete record.')"
SUCCEEDS_LATER = (
    "(Path(folder).parent / 'attempts').read_text().count('run-s') > 2 and Path(str(file) + '.synced').touch()"
)
SUCCEEDS = REACHES + "; Path(str(file) + '.synced').touch()"


def sync(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    monkeypatch.setattr(upload, "COMMAND", (sys.executable, "-c", SYNC.replace("SAY", says)))
    monkeypatch.setattr(upload, "LAST_RETRY_SECONDS", 0.0)


def run_folder(folder: Path, run: str, day: int = 1, content: bytes = b"something") -> Path:
    path = folder / f"offline-run-2026010{day}_000000-{run}"
    path.mkdir(parents=True)
    (path / f"run-{run}.wandb").write_bytes(content)
    return path


def attempts(folder: Path) -> list[str]:
    return (folder / "attempts").read_text().splitlines()


def test_an_upload_that_did_not_reach_the_server_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(monkeypatch, SUCCEEDS_LATER)
    assert Uploader(tmp_path, run_folder(tmp_path, "s")).finish(20.0)
    assert attempts(tmp_path) == ["sync --yes run-s"] * 3


def test_an_upload_that_reached_the_server_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(monkeypatch, REACHES)
    assert not Uploader(tmp_path, run_folder(tmp_path, "s")).finish(20.0)
    assert attempts(tmp_path) == ["sync --yes run-s"]


def test_a_server_that_was_never_reached_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(monkeypatch, SUCCEEDS)
    uploader = Uploader(tmp_path, run_folder(tmp_path, "s"))
    monkeypatch.setattr(time, "monotonic", lambda before=time.monotonic: before() + 60.0)
    assert not uploader.finish(60.0)
    assert not (tmp_path / "attempts").exists()


def test_what_a_killed_writer_left_counts_as_uploaded_once_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(monkeypatch, TORN)
    assert Uploader(tmp_path, run_folder(tmp_path, "s")).finish(20.0)
    assert attempts(tmp_path) == ["sync --yes run-s"]


def test_folders_of_the_study_go_one_after_the_other_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(monkeypatch, SUCCEEDS)
    current = run_folder(tmp_path, "s", day=3)
    run_folder(tmp_path, "s", day=2)
    run_folder(tmp_path, "s-0", day=2)
    uploader = Uploader(tmp_path, current)
    assert uploader.finish(20.0)
    assert sorted(attempts(tmp_path)) == ["sync --yes run-s", "sync --yes run-s", "sync --yes run-s-0"]
    assert uploader.url("s") == "http://here/t/p/runs/s"


def test_folders_without_a_record_are_taken_away(tmp_path: Path) -> None:
    kept = run_folder(tmp_path, "s", day=1)
    run_folder(tmp_path, "s", day=2, content=b":W&B\x00\x01\x02")
    run_folder(tmp_path, "s", day=3, content=b"")
    remove_empty(tmp_path)
    assert run_folders(tmp_path, "s") == [kept]
