"""Searches with a fake executor, tracked offline and read back with W&B's own reader."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from engine import FakeExecutor, Setting

from nas.config.budget import Budget
from nas.config.tracking import TrackingSpec
from nas.jobs import EndReason, Failure, Job
from nas.objectives.limits import Limits
from nas.study.selection import pick_records
from nas.study.study import Study, open_study
from nas.study.summary import front_records, status_document
from nas.tracking.drawings import drawing
from nas.tracking.none import NullTracker
from nas.tracking.recording import RecordingTracker
from nas.tracking.rows import described
from nas.tracking.tracker import open_tracker
from nas.tracking.wandb.tracker import FOLDER
from search_space.architecture import Architecture
from search_space.differences import choices_of

pytestmark = pytest.mark.xdist_group("offline")  # one search for all

SECRET = "s3cret" * 7


def fails(job: Job, epoch: int) -> Failure | None:
    return Failure("nan", "the loss is not a number") if job.trial == 2 and epoch == 2 else None


def searched(folder: Path, trials: int, spec: TrackingSpec) -> Study:
    """Search up to `trials` trials, one of which fails, beside rejected and duplicate asks."""
    setting = Setting(budget=Budget(trials=trials), limits=Limits(max_params=900))
    study = setting.study(folder)
    circumstances = {"data": {"path": "/home/anna/photos"}, "storage": f"postgresql://anna:{SECRET}@db/nas"}
    with open_tracker(spec, study, circumstances) as tracker:
        setting.observers = [tracker]
        assert setting.run(folder, FakeExecutor(fails=fails)) == "budget"
    return study


@cache
def inspect(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the folder of an ended run."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def history(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record["history"]["item"] for record in records if record["type"] == "history"]


def run_folders(folder: Path, run_id: str) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"wandb/offline-run-*/run-{run_id}.wandb"))


def run_id(folder: Path) -> str:
    return str(json.loads((folder / "wandb" / "run.json").read_text())["id"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set an empty home and working folder, and no W&B variable but one that must not be inherited."""
    home, work = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("WANDB_", "XDG_"))] + ["NETRC"]:
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("WANDB_RUN_ID", "another-run")
        patch.chdir(work)
        yield home


@pytest.fixture(scope="module")
def studied(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Search 6 trials, then resume to 9 with a run for each; return the study's folder and the first run folder."""
    folder = tmp_path_factory.mktemp("outputs") / "digits small"
    searched(folder, 6, TrackingSpec())
    first = run_folders(folder, run_id(folder))
    assert len(first) == 1
    searched(folder, 9, TrackingSpec(trials=True))
    return folder, first[0]


def test_the_run_holds_exactly_the_trials_of_the_study(studied: tuple[Path, Path]) -> None:
    folder, first = studied
    stored = {record.number: record for record in open_study(folder).records()}
    rows = [row for row in history(inspect(first)) if "trial" in row]
    assert [row["trial"] for row in rows] == list(range(len(rows)))
    assert [row["state"] for row in rows].count("complete") == 6
    for row in rows:
        record = stored[row["trial"]]
        values = {key.removeprefix("value/"): row[key] for key in row if key.startswith("value/")}
        assert values == pytest.approx(dict(record.values or {}))
        assert {key.removeprefix("cost/"): row[key] for key in row if key.startswith("cost/")} == pytest.approx(
            dict(record.candidate.costs)
        )
        assert row["architecture"] == record.candidate.summary
    assert rows[2]["state"] == "failed"


def test_a_resumed_search_continues_the_run_without_double_or_gap(studied: tuple[Path, Path]) -> None:
    folder, _ = studied
    study = open_study(folder)
    folders = run_folders(folder, run_id(folder))
    parts = [history(inspect(part)) for part in folders]
    assert len(parts) == 2
    trials = [row["trial"] for part in parts for row in part if "trial" in row]
    assert trials == [record.number for record in study.records()]
    steps = [row["_step"] for part in parts for row in part]
    assert steps == list(range(len(steps)))
    last = [row for row in parts[1] if "trial" in row][-1]
    status = status_document(study, study.records())
    assert last["hypervolume/by_trials"] == pytest.approx(status["hypervolume"])
    assert last["hypervolume/by_compute"] == pytest.approx(status["hypervolume"])
    assert last["compute_seconds"] == pytest.approx(status["seconds"])
    assert {name: last[f"count/{name}"] for name in ("complete", "pruned", "failed")} == {
        name: status["trials"][name] for name in ("complete", "pruned", "failed")
    }
    assert status["trials"]["rejected"] > 0
    assert last["count/rejected"] == status["trials"]["rejected"]
    assert last["count/duplicates"] == status["trials"]["duplicates"]


def summary_of(folder: Path) -> dict[str, Any]:
    """Return the summary that W&B shows of the run in a folder."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(text)["summary"])


def test_the_summary_holds_best_and_knee_and_no_value_of_a_single_trial(studied: tuple[Path, Path]) -> None:
    folder, _ = studied
    study = open_study(folder)
    records = study.records()
    for part, known in zip(run_folders(folder, run_id(folder)), (records[:6], records), strict=True):
        summary = summary_of(part)
        for pick in ("best", "knee"):
            (record,) = pick_records(known, study.believer, pick, Limits())
            expected = {"trial": record.number, "id": record.candidate.id, "architecture": record.candidate.summary}
            expected |= {**(record.values or {}), **record.candidate.costs}
            (believed,) = study.believer.losses([record])
            expected["believed_val_accuracy"] = pytest.approx(float(study.axes[0].value(believed[:1])[0]))
            found = {key.removeprefix(f"{pick}/"): summary[key] for key in summary if key.startswith(f"{pick}/")}
            assert found == expected
        assert summary["hypervolume"] == pytest.approx(status_document(study, known)["hypervolume"])
        mixed = [key for key in summary if key.startswith(("value/", "cost/", "training/"))]
        assert mixed + [key for key in ("trial", "state", "architecture") if key in summary] == []


def test_the_hypervolume_has_an_axis_of_trials_training_and_clock(studied: tuple[Path, Path]) -> None:
    _, first = studied
    metrics = [record["metric"] for record in inspect(first) if record["type"] == "metric"]
    axes = {metric.get("name"): metric.get("step_metric") for metric in metrics if "step_metric" in metric}
    assert {name: axes[f"hypervolume/{name}"] for name in ("by_trials", "by_compute", "by_clock")} == {
        "by_trials": "trials_ended",
        "by_compute": "compute_seconds",
        "by_clock": "time/clock_seconds",
    }
    rows = [row for row in history(inspect(first)) if "trial" in row]
    clocks = [row["time/clock_seconds"] for row in rows]
    assert clocks == sorted(clocks)
    assert clocks[-1] > 0
    with_front = [row for row in rows if "hypervolume/by_trials" in row]
    assert with_front
    assert all(row["hypervolume/by_clock"] == row["hypervolume/by_trials"] for row in with_front)


def media(folder: Path, key: str) -> dict[str, Any]:
    """Return the newest document that a run has logged under a key."""
    return dict(json.loads((folder / "files" / summary_of(folder)[key]["path"]).read_text()))


def test_a_table_holds_all_trials_with_their_choices(studied: tuple[Path, Path]) -> None:
    folder, _ = studied
    records = open_study(folder).records()
    content = media(run_folders(folder, run_id(folder))[-1], "trials/table")
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    assert [row["trial"] for row in rows] == [record.number for record in records]
    for row, record in zip(rows, records, strict=True):
        assert (row["state"], row["id"], row["epochs"]) == (record.state, record.candidate.id, len(record.curve))
        known = choices_of(Architecture.from_json(dict(record.candidate.architecture)))
        found = {key: value for key, value in row.items() if key.startswith("choice/") and value is not None}
        assert found.keys() == {f"choice/{path.replace('.', '/')}" for path in known}
        for path, value in known.items():  # a column of numbers and texts holds texts
            assert found[f"choice/{path.replace('.', '/')}"] in (value, str(value))
        values = {**record.candidate.costs, **(record.values or {})}
        assert {name: row[name] for name in values} == pytest.approx(values)


def test_the_front_stands_as_table_picture_and_artifact(studied: tuple[Path, Path]) -> None:
    folder, _ = studied
    study = open_study(folder)
    members = front_records(study.records(), study.axes)
    newest = run_folders(folder, run_id(folder))[-1]
    records = inspect(newest)
    drawn = [row for row in history(records) if "front/picture.path" in row or "front.picture.path" in row]
    assert drawn
    content = media(newest, "front/table")
    assert [row[0] for row in content["data"]] == [record.number for record in members]
    columns = ["trial", "val_accuracy", "macs", "params", "memory_mib", "architecture", "id", "drawing"]
    assert content["columns"] == columns
    chart = media(newest, "front/chart_table")
    complete = [record for record in study.records() if record.values]
    assert [row[0] for row in chart["data"]] == [record.number for record in complete]
    assert {row[0] for row in chart["data"] if row[3] == "True"} == {record.number for record in members}
    figure = media(newest, "front/picture")
    assert figure["layout"]["xaxis"]["type"] == "log"
    artifacts = [record["artifact"] for record in records if record["type"] == "artifact"]
    tables = [artifact for artifact in artifacts if "fronttable" in artifact["name"]]
    drawings = {
        Path(item["local_path"]).read_text()
        for item in tables[-1]["manifest"]["contents"]
        if item["path"].endswith(".html")
    }
    assert drawings == {drawing({**described(record.candidate)}) for record in members}
    assert all(text is not None and text.startswith("<svg") for text in drawings)
    (architectures,) = [artifact for artifact in artifacts if artifact["type"] == "architectures"]
    files = {item["path"]: item["local_path"] for item in architectures["manifest"]["contents"]}
    assert set(files) == {"front.json", *(f"trial-{record.number:05d}.json" for record in members)}
    for record in members:
        text = Path(files[f"trial-{record.number:05d}.json"]).read_text()
        assert json.loads(text) == record.candidate.architecture
    assert records[-1]["exit"]["exit_code"] == 0


def test_every_trial_has_a_lean_run_with_its_curve(studied: tuple[Path, Path]) -> None:
    folder, _ = studied
    stored = {record.number: record for record in open_study(folder).records()}
    for number, record in stored.items():
        assert len(run_folders(folder, f"{run_id(folder)}-{number}")) == 1
        if number not in (2, 7):
            continue
        records = inspect(run_folders(folder, f"{run_id(folder)}-{number}")[0])
        (run,) = [part["run"] for part in records if part["type"] == "run"]
        assert (run["job_type"], run["run_group"]) == ("trial", run_id(folder))
        config = run["config"]["update"]
        choices = {key: config[key] for key in config if key.startswith("choice/")}
        known = choices_of(Architecture.from_json(dict(record.candidate.architecture)))
        assert choices == {f"choice/{path.replace('.', '/')}": value for path, value in known.items()}
        assert choices["choice/stem/width"] in (4, 8, 12, 16)
        rows = history(records)
        assert [row["epoch"] for row in rows] == [epoch.epoch for epoch in record.curve]
        assert [row["val_accuracy"] for row in rows] == pytest.approx([e.val_accuracy for e in record.curve])
        summary: dict[str, Any] = {}
        for part in records:
            summary |= part["summary"].get("update", {}) if part["type"] == "summary" else {}
        assert summary["state"] == record.state
        assert summary.get("value/macs") == (record.values or {}).get("macs")


@pytest.mark.slow
def test_a_running_trial_is_recorded_epoch_by_epoch(home: Path, tmp_path: Path) -> None:
    """Check that epochs are there while the trial runs, and that a stopped and resumed search records each once."""
    folder, seen = tmp_path / "live", []

    def look(waits: int) -> None:
        if waits == 1:  # the first trial has trained one of its three epochs
            deadline = time.monotonic() + 60
            while not seen and time.monotonic() < deadline:
                time.sleep(0.5)
                for found in run_folders(folder, f"{run_id(folder)}-0"):
                    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(found)]
                    lines = subprocess.run(command, capture_output=True, check=False).stdout.splitlines()
                    seen.extend(row["epoch"] for row in history([json.loads(line) for line in lines]))
            search.stop(EndReason.STOPPED)

    setting = Setting(budget=Budget(trials=2))
    study = setting.study(folder)
    with open_tracker(TrackingSpec(trials=True), study, {}) as tracker:
        setting.observers = [tracker]
        search = setting.search(folder, FakeExecutor(before_wait=look))
        assert search.run() == "stopped"
    assert seen == [1]
    with open_tracker(TrackingSpec(trials=True), setting.study(folder), {}) as tracker:
        setting.observers = [tracker]
        assert setting.run(folder, FakeExecutor()) == "budget"
    parts = run_folders(folder, f"{run_id(folder)}-0")
    assert [row["epoch"] for part in parts for row in history(inspect(part))] == [1, 2, 3]
    assert [summary_of(part)["state"] for part in parts] == ["running", "complete"]


def test_what_is_recorded_names_no_person_and_no_password(studied: tuple[Path, Path], home: Path) -> None:
    folder, first = studied
    (run,) = [record["run"] for record in inspect(first) if record["type"] == "run"]
    assert run["config"]["update"]["data"] == {"path": "photos"}
    for path in (folder / "wandb").rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_nothing_is_left_outside_the_study(studied: tuple[Path, Path], home: Path) -> None:
    assert list(home.rglob("*")) == []
    assert list(Path.cwd().iterdir()) == []


DRIVER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from engine import FakeExecutor, Setting
from nas.config.budget import Budget
from nas.config.tracking import TrackingSpec
from nas.tracking.tracker import open_tracker

setting, folder = Setting(budget=Budget(trials=5)), Path(sys.argv[1])
tracker = open_tracker(TrackingSpec(), setting.study(folder), {})
print(tracker.process.process.pid, flush=True)
setting.observers = [tracker]
die = lambda waits: os.kill(os.getpid(), signal.SIGKILL) if waits == 10 else None
setting.run(folder, FakeExecutor(before_wait=die))
"""


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the recording process must end with its driver")


def test_a_killed_driver_loses_no_row(home: Path, tmp_path: Path) -> None:
    """Check that the recording process ends with its input, and that a resumed search records only the missing rows."""
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", DRIVER, str(folder), str(Path(sys.modules["engine"].__file__ or "").parent)]
    driver = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert driver.returncode == -signal.SIGKILL
    wait_until_gone(int(driver.stdout))
    (first,) = run_folders(folder, run_id(folder))
    records = inspect(first)
    assert [row["trial"] for row in history(records) if "trial" in row] == [0, 1, 2]
    assert records[-1]["exit"]["exit_code"] == 1
    setting = Setting(budget=Budget(trials=5))
    with open_tracker(TrackingSpec(), setting.study(folder), {}) as tracker:
        setting.observers = [tracker]
        assert setting.run(folder) == "budget"
    second = run_folders(folder, run_id(folder))[1]
    assert [row["trial"] for row in history(inspect(second)) if "trial" in row] == [3, 4]


def test_a_recorder_that_dies_costs_the_search_one_line(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "dies"
    setting = Setting(budget=Budget(trials=3))
    with caplog.at_level(logging.INFO, "nas"), open_tracker(TrackingSpec(), setting.study(folder), {}) as tracker:
        assert isinstance(tracker, RecordingTracker)
        os.killpg(tracker.process.process.pid, signal.SIGKILL)
        tracker.process.process.wait()
        setting.observers = [tracker]
        assert setting.run(folder) == "budget"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("W&B tracking stopped, the search does not: it was killed")


def test_none_tracks_nothing(tmp_path: Path) -> None:
    setting = Setting(budget=Budget(trials=2))
    with open_tracker(TrackingSpec(name="none"), setting.study(tmp_path / "none"), {}) as tracker:
        assert isinstance(tracker, NullTracker)
        setting.observers = [tracker]
        assert setting.run(tmp_path / "none") == "budget"
    assert not (tmp_path / "none" / FOLDER).exists()
