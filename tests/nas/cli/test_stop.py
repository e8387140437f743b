"""`nas stop`, and `nas status` that goes on looking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.cli import main, status
from nas.study.storage.folder_lock import FolderLock
from nas.study.storage.sqlite import STOP_FILE
from nas.study.study import create_study

FINGERPRINT: dict[str, Any] = {
    "objectives": [{"name": "val_accuracy", "direction": "maximize", "log": False, "best": 1.0, "worst": 0.1}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "mine"
    folder.mkdir(parents=True)
    create_study(folder, FINGERPRINT)
    return folder


def test_a_running_search_is_asked_to_end(folder: Path) -> None:
    with FolderLock(folder):
        assert main(["stop", f"study={folder}"]) == 0
    assert (folder / STOP_FILE).exists()


def test_nothing_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop", f"study={folder}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "only a running search can be stopped" in error
    assert not (folder / STOP_FILE).exists()


def test_the_watch_ends_with_the_search(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FolderLock(folder)
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            lock.release()

    monkeypatch.setattr(status.time, "sleep", sleep)
    assert main(["status", f"study={folder}", "watch=true", "interval=0.5", "format=json"]) == 0
    assert looks == [0.5, 0.5]
    assert capsys.readouterr().out.count('"driven": true') == 2


def test_an_interval_is_positive(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", f"study={folder}", "interval=0"]) == 2
    assert "interval must be positive, got 0" in capsys.readouterr().err
