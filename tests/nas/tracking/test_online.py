"""Searches that upload to a fake W&B server on this machine, which also hangs and breaks."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine import FakeExecutor, Setting

from nas.config.budget import Budget
from nas.config.tracking import TrackingSpec
from nas.study.study import open_study
from nas.tracking.tracker import open_tracker

KEY = "d" * 40


@pytest.fixture(autouse=True)
def configured(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Configure a key for the server on this machine only."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)


def searched(folder: Path, trials: int, spec: TrackingSpec, before_wait: Callable[[int], None]) -> str:
    """Run a tracked search and return its end reason."""
    setting = Setting(budget=Budget(trials=trials))
    with open_tracker(spec, setting.study(folder), {"data": {"path": "/home/anna/photos"}}) as tracker:
        setting.observers = [tracker]
        return setting.run(folder, FakeExecutor(before_wait=before_wait))


def uploaded_trials(server: Any, run: str) -> list[int]:
    return [row["trial"] for row in server.history[run] if "trial" in row]


def test_a_search_is_uploaded_and_goes_on_in_the_same_run(
    server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "online"
    with caplog.at_level(logging.INFO, "nas"):
        assert searched(folder, 3, TrackingSpec(trials=True, finish_seconds=60), lambda waits: None) == "budget"
        assert searched(folder, 5, TrackingSpec(trials=True, finish_seconds=60), lambda waits: None) == "budget"
    run = json.loads((folder / "wandb" / "run.json").read_text())["id"]
    records = open_study(folder).records()
    assert uploaded_trials(server, run) == [record.number for record in records]
    for record in records:
        curve = [row["val_accuracy"] for row in server.history[f"{run}-{record.number}"]]
        assert curve == pytest.approx([epoch.val_accuracy for epoch in record.curve])
    assert set(server.runs) == {run, *(f"{run}-{record.number}" for record in records)}
    assert {artifact["artifactTypeName"] for artifact in server.artifacts} == {"run_table", "architectures"}
    assert any(name.endswith(".plotly.json") for name in server.uploads)
    assert caplog.messages == [f"W&B run {server.url}/tester/inception-nas/runs/{run}"] * 2
    everything = "".join(server.bodies)
    assert "photos" in everything
    assert "anna" not in everything
    assert str(tmp_path) not in everything
    assert KEY not in everything + "".join(caplog.messages)
    assert not (tmp_path / "home").exists()
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("mode", ["hang", "broken"])
def test_a_dead_server_neither_stops_nor_delays_a_search(
    server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """Check that the search ends without an answer, and that its run is on disk, with the command that uploads it."""
    server.mode = mode
    folder = tmp_path / f"{mode} server"

    def wait_for_the_upload(waits: int) -> None:
        if waits == 5:
            assert server.asked.wait(60), "the upload must have begun"

    with caplog.at_level(logging.INFO, "nas"):
        assert searched(folder, 6, TrackingSpec(finish_seconds=0.2), wait_for_the_upload) == "budget"
    assert server.history == {}
    (message,) = caplog.messages
    assert message.startswith("W&B did not take everything in time: the run is in ")
    assert message.endswith(f"upload it with: wandb sync '{folder / 'wandb'}'")
    server.mode = "ok"
    server.released.set()
    run = json.loads((folder / "wandb" / "run.json").read_text())["id"]
    if mode == "broken":  # by the words that were printed
        command = shlex.split(message.split("upload it with: ")[1])
        subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    else:  # by the next search
        caplog.clear()
        with caplog.at_level(logging.INFO, "nas"):
            searched(folder, 6, TrackingSpec(finish_seconds=60), lambda waits: None)
        assert caplog.messages == [f"W&B run {server.url}/tester/inception-nas/runs/{run}"]
    assert uploaded_trials(server, run) == [0, 1, 2, 3, 4, 5]
