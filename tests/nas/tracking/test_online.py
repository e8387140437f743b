"""Searches that upload to a fake W&B server on this machine, which also hangs and breaks."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from engine import FakeExecutor, Setting

from nas.cli.common.sending import send_report
from nas.config.budget import Budget
from nas.config.tracking import TrackingSpec
from nas.study.study import open_study
from nas.tracking.results import Result, network_of, record_results
from nas.tracking.tracker import open_tracker

KEY = "d" * 40
GOLDEN = Path(__file__).parents[2] / "golden" / "studies" / "repeated"


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
    study = setting.study(folder)
    study.set_attribute("config", {"tracking": asdict(spec)})
    with open_tracker(spec, study, {"data": {"path": "/home/anna/photos"}}) as tracker:
        setting.observers = [tracker]
        return setting.run(folder, FakeExecutor(before_wait=before_wait))


def sync(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `nas sync` in a process of its own."""
    command = [sys.executable, "-m", *words] if words[0] == "nas" else [sys.executable, "-m", "nas", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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
    assert {artifact["artifactTypeName"] for artifact in server.artifacts} == {"run_table", "architectures", "model"}
    assert any(name.endswith(".plotly.json") for name in server.uploads)
    assert caplog.messages == [f"W&B run {server.url}/tester/inception-nas/runs/{run}"] * 2
    everything = "".join(server.bodies)
    assert "photos" in everything
    assert "anna" not in everything
    assert str(tmp_path) not in everything
    assert KEY not in everything + "".join(caplog.messages)
    assert not (tmp_path / "home").exists()
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hang", pytest.param("broken", marks=pytest.mark.slow)])
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
    assert message.endswith(f"upload it with: nas sync 'study={folder}'")
    server.mode = "ok"
    server.released.set()
    run = json.loads((folder / "wandb" / "run.json").read_text())["id"]
    if mode == "broken":  # by the words that were printed
        command = shlex.split(message.split("upload it with: ")[1])
        assert command[:2] == ["nas", "sync"]
        assert sync(*command[1:], "report=false").stdout.count("sent offline-run-") == 1
        assert sync(*command[1:], "report=false").stdout.startswith("everything is sent already")
    else:  # by the next search
        caplog.clear()
        with caplog.at_level(logging.INFO, "nas"):
            searched(folder, 6, TrackingSpec(finish_seconds=60), lambda waits: None)
        assert caplog.messages == [f"W&B run {server.url}/tester/inception-nas/runs/{run}"]
    assert uploaded_trials(server, run) == [0, 1, 2, 3, 4, 5]


@pytest.mark.slow
def test_running_trials_are_uploaded_while_they_train(server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "live"
    seen: list[dict[str, list[int]]] = []

    def look(waits: int) -> None:
        if waits != 2:  # the first two trials have trained two of their three epochs
            return
        deadline = time.monotonic() + 90
        run = json.loads((folder / "wandb" / "run.json").read_text())["id"]
        while time.monotonic() < deadline and not all(server.history[f"{run}-{number}"] for number in range(2)):
            time.sleep(0.2)
        seen.append({str(n): [row["epoch"] for row in server.history[f"{run}-{n}"]] for n in range(2)})

    setting = Setting(budget=Budget(trials=2))
    spec = TrackingSpec(trials=True, finish_seconds=60)
    with open_tracker(spec, setting.study(folder), {}) as tracker:
        setting.observers = [tracker]
        assert setting.run(folder, FakeExecutor(slots=2, before_wait=look)) == "budget"
    assert all(found and found == list(range(1, len(found) + 1)) for found in seen[0].values()), seen
    assert all(len(found) < 3 for found in seen[0].values()), seen
    run = json.loads((folder / "wandb" / "run.json").read_text())["id"]
    for number in range(2):
        assert [row["epoch"] for row in server.history[f"{run}-{number}"]] == [1, 2, 3]


def test_an_offline_study_is_sent_when_asked_for(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that all folders of a resumed study arrive in order, with its trials and results."""
    folder = tmp_path / "offline study"
    spec = TrackingSpec(mode="offline", trials=True)
    for trials in (2, 4):
        assert searched(folder, trials, spec, lambda waits: None) == "budget"
    study = open_study(folder)
    (record,) = [record for record in study.records() if record.number == 1]
    record_results(study, "retrain", [Result("1", network_of(record), {"test_accuracy/mean": 0.75})])
    assert server.bodies == []
    monkeypatch.delenv("WANDB_API_KEY")
    refused = sync("sync", f"study={folder}")
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)
    assert "needs a key of W&B, none is configured" in refused.stderr
    assert server.bodies == []
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "offline")  # of searches; this command is the request to send
    sent = sync("sync", f"study={folder}", "format=json", "report=false")
    assert sent.returncode == 0, sent.stderr
    run = json.loads((folder / "wandb" / "run.json").read_text())["id"]
    assert json.loads(sent.stdout)["url"] == f"{server.url}/tester/inception-nas/runs/{run}"
    assert len(json.loads(sent.stdout)["sent"]) == 2 + 4 + 1
    assert uploaded_trials(server, run) == [0, 1, 2, 3]
    assert set(server.runs) == {run, f"{run}-retrain-1", *(f"{run}-{number}" for number in range(4))}
    assert KEY not in sent.stdout + sent.stderr + "".join(server.bodies)


@pytest.mark.slow
def test_the_report_is_sent_without_names_of_folders(server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "anna's" / "repeated"
    shutil.copytree(GOLDEN, folder)
    study = open_study(folder)
    config = {**study.attribute("config"), "tracking": asdict(TrackingSpec(mode="offline"))}
    study.set_attribute("config", config | {"data": {**config["data"], "path": "/home/anna/photos"}})
    (folder / "config.yaml").unlink()  # the settings in the study count
    with open_tracker(TrackingSpec(mode="offline"), study, {}):
        pass
    send_report(study)  # there is something else to upload: nothing happens
    assert server.runs == {}
    sent = sync("sync", f"study={folder}", "report=false")
    assert sent.returncode == 0, sent.stderr
    run = json.loads((folder / "wandb" / "run.json").read_text())["id"]
    assert set(server.runs) == {run}
    send_report(study)
    assert set(server.runs) == {run, f"{run}-report"}
    again = sync("sync", f"study={folder}")
    assert again.stdout.startswith("everything is sent already")
    assert uploaded_trials(server, run) == [record.number for record in study.records()]
    (page,) = [body for name, body in server.uploads.items() if name.startswith(f"{run}-report/media/html/report")]
    packed = re.findall(rb'<script type="application/octet-stream"[^>]*>([^<]*)<', page)
    assert packed
    page += b"".join(gzip.decompress(base64.b64decode(part)) for part in packed)
    assert b"repeated" in page
    assert b"photos" in page
    assert b"anna" not in page


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_told_in_one_line(server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "hangs"
    assert searched(folder, 1, TrackingSpec(mode="offline"), lambda waits: None) == "budget"
    server.mode = "hang"
    refused = sync("sync", f"study={folder}", "seconds=3", "report=false")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "the server of W&B must take every run, 1 of 1 are left" in refused.stderr
