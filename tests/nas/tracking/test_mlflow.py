"""Searches tracked in MLflow, read back with its own client from its SQLite store."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
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
from nas.tracking import extras
from nas.tracking.drawings import drawing
from nas.tracking.results import Result, network_of, record_results
from nas.tracking.rows import described
from nas.tracking.tracker import open_tracker
from search_space.architecture import Architecture
from search_space.differences import choices_of

pytestmark = [
    pytest.mark.skipif(find_spec("mlflow") is None, reason="needs the extra mlflow"),
    pytest.mark.xdist_group("mlflow"),  # one search for all
]

SPEC = TrackingSpec(name="mlflow", trials=True)
SECRET = "s3cret" * 7
READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=f"sqlite:///{sys.argv[1]}/mlflow/mlflow.db")
(experiment,) = [e for e in client.search_experiments() if e.name == "inception-nas"]
runs = []
for run in client.search_runs([experiment.experiment_id], max_results=1000):
    history = lambda key: [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, key)]
    histories = {key: history(key) for key in run.data.metrics}
    runs.append({"id": run.info.run_id, "name": run.info.run_name, "status": run.info.status, "user": run.info.user_id,
                 "tags": run.data.tags, "params": run.data.params, "metrics": run.data.metrics, "histories": histories,
                 "artifacts": run.info.artifact_uri})
print(json.dumps(runs))
"""


def fails(job: Job, epoch: int) -> Failure | None:
    return Failure("nan", "the loss of /home/anna/x is not a number") if job.trial == 1 and epoch == 2 else None


def runs_of(folder: Path) -> list[dict[str, Any]]:
    """Return the runs in a study's store, read in a process of its own: the client warns of its own library's ways."""
    printed = subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True)
    return list(json.loads(printed.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stop a search within its third trial, resume it to five trials, and record a retrained network."""
    folder = tmp_path_factory.mktemp("outputs") / "digits small"
    setting = Setting(budget=Budget(trials=5))
    study = setting.study(folder)
    study.set_attribute("config", {"tracking": asdict(SPEC)})

    def stop(waits: int) -> None:
        if waits == 6:
            search.stop(EndReason.STOPPED)

    circumstances = {"data": {"path": "/home/anna/photos"}, "storage": f"postgresql://anna:{SECRET}@db/nas"}
    with open_tracker(SPEC, study, circumstances) as tracker:
        setting.observers = [tracker]
        search = setting.search(folder, FakeExecutor(fails=fails, before_wait=stop))
        assert search.run() == "stopped"
    with open_tracker(SPEC, setting.study(folder), {}) as tracker:
        setting.observers = [tracker]
        assert setting.run(folder) == "budget"
    record = study.records()[0]
    page = folder / "page.html"
    page.write_text("<p>text</p>")
    rows = [{"seed": seed, "test_accuracy": 0.7 + seed / 10} for seed in range(2)]
    result = Result("0", network_of(record), {"test_accuracy/mean": 0.75, "test_accuracy/n": 2}, rows, {"p": str(page)})
    record_results(study, "retrain", [result])
    return folder


def of_job(runs: list[dict[str, Any]], job: str) -> list[dict[str, Any]]:
    return [run for run in runs if run["tags"]["nas.job"] == job]


def test_the_study_has_one_run_with_best_knee_and_hypervolume(studied: Path) -> None:
    study = open_study(studied)
    (run,) = of_job(runs_of(studied), "study")
    status = status_document(study, study.records())
    assert (run["status"], run["tags"]["nas.ended"]) == ("FINISHED", "budget")
    assert run["metrics"]["hypervolume"] == pytest.approx(status["hypervolume"])
    for pick in ("best", "knee"):
        (record,) = pick_records(study.records(), study.believer, pick, Limits())
        known = {"trial": record.number, **record.candidate.costs, **(record.values or {})}
        assert {name: run["metrics"][f"{pick}/{name}"] for name in known} == pytest.approx(known)
        assert run["tags"][f"{pick}.architecture"] == record.candidate.summary
    trials = [(step, value) for step, value in run["histories"]["trial"]]
    assert trials == [(place + 1, record.number) for place, record in enumerate(study.records())]


def test_every_trial_is_a_nested_run_with_its_choices_and_curve(studied: Path) -> None:
    runs = runs_of(studied)
    (parent,) = of_job(runs, "study")
    trials = {int(run["tags"]["nas.trial"]): run for run in of_job(runs, "trial")}
    records = open_study(studied).records()
    assert sorted(trials) == [record.number for record in records]
    assert len(of_job(runs, "trial")) == len(records)
    for record in records:
        run = trials[record.number]
        assert run["tags"]["mlflow.parentRunId"] == parent["id"]
        assert run["status"] == {"complete": "FINISHED", "failed": "FAILED"}[record.state]
        choices = choices_of(Architecture.from_json(dict(record.candidate.architecture)))
        assert {path: run["params"][path] for path in choices} == {path: str(value) for path, value in choices.items()}
        assert run["histories"]["val_accuracy"] == [[epoch.epoch, epoch.val_accuracy] for epoch in record.curve]
        found = {key.removeprefix("value/"): value for key, value in run["metrics"].items() if key.startswith("value/")}
        assert found == pytest.approx(dict(record.values or {}))


@pytest.mark.slow
def test_front_and_drawings_are_artifacts(studied: Path) -> None:
    study = open_study(studied)
    (run,) = of_job(runs_of(studied), "study")
    members = front_records(study.records(), study.axes)
    folder = Path(run["artifacts"])
    front = json.loads((folder / "front.json").read_text())
    assert [member["trial"] for member in front["front"]] == [record.number for record in members]
    for record in members:
        assert (folder / f"drawings/trial-{record.number:05d}.svg").read_text() == drawing(described(record.candidate))
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_retrained_network_is_recorded_beside_the_trials(studied: Path) -> None:
    (run,) = of_job(runs_of(studied), "retrain")
    assert run["metrics"]["test_accuracy/mean"] == 0.75
    assert run["histories"]["by_seed/test_accuracy"] == [[0, 0.7], [1, pytest.approx(0.8)]]
    assert (Path(run["artifacts"]) / "page.html").read_text() == "<p>text</p>"


def test_neither_folders_nor_passwords_nor_persons_are_recorded(studied: Path) -> None:
    runs = runs_of(studied)
    (run,) = of_job(runs, "study")
    assert run["params"]["data.path"] == "photos"
    assert {each["user"] for each in runs} == {"unknown"}
    for path in (studied / "mlflow").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
    assert all("anna" not in json.dumps({**each, "artifacts": None}) for each in runs)


def test_a_missing_package_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    study: Study = Setting(budget=Budget(trials=2)).study(tmp_path / "study")
    with pytest.raises(ValueError, match=r"tracking=mlflow needs the package mlflow: pip install 'inception-nas\[mlf"):
        open_tracker(SPEC, study, {})
    study.set_attribute("config", {"tracking": asdict(SPEC)})
    with caplog.at_level(logging.WARNING, "nas"):
        record_results(study, "export", [Result("0")])
    assert "the tracker does not get the results of nas export" in caplog.text
