"""Results of commands, recorded in W&B offline and read back: retrained networks and exports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from engine import Setting

from nas.config.budget import Budget
from nas.config.tracking import TrackingSpec
from nas.study.study import Study
from nas.tracking.networks import kept_networks
from nas.tracking.results import Result, network_of, record_results
from nas.tracking.rows import standing
from nas.tracking.tracker import open_tracker
from nas.tracking.wandb import link
from nas.tracking.wandb.run_folders import run_folders

SPEC = TrackingSpec(mode="offline")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set an empty home folder and no W&B variable."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def studied(folder: Path, spec: TrackingSpec = SPEC) -> Study:
    setting = Setting(budget=Budget(trials=2))
    study = setting.study(folder)
    study.set_attribute("config", {"tracking": asdict(spec)})
    with open_tracker(spec, study, {}) as tracker:
        setting.observers = [tracker]
        assert setting.run(folder) == "budget"
    return study


def inspected(folder: Path, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", *options, "--json", str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(printed)] if options else [json.loads(line) for line in printed.splitlines()]


@pytest.mark.slow
def test_a_retrained_network_has_a_run_in_the_group_of_its_study(tmp_path: Path) -> None:
    study = studied(tmp_path / "study")
    record = study.records()[1]
    rows = [{"seed": seed, "test_accuracy": 0.7 + seed / 10} for seed in range(2)]
    summary = {"test_accuracy/mean": 0.75, "test_accuracy/sd": 0.07, "test_accuracy/n": 2}
    page = tmp_path / "weights.safetensors"
    page.write_bytes(b"weights")
    for _ in range(2):
        record_results(study, "retrain", [Result("1", network_of(record), summary, rows, {page.name: str(page)})])
    identity = json.loads((study.folder / "wandb" / "run.json").read_text())["id"]
    first, second = run_folders(study.folder / "wandb", f"{identity}-retrain-1")
    records = inspected(first)
    (run,) = [part["run"] for part in records if part["type"] == "run"]
    assert (run["job_type"], run["run_group"]) == ("retrain", identity)
    assert run["config"]["update"]["architecture"] == record.candidate.architecture
    history = [part["history"]["item"] for part in records if part["type"] == "history"]
    assert [(row["by_seed/seed"], row["by_seed/test_accuracy"]) for row in history] == [(0, 0.7), (1, 0.7 + 1 / 10)]
    (found,) = inspected(first, "--summary")
    assert {key: value for key, value in found["summary"].items() if not key.startswith("_")} == summary
    (artifact,) = [part["artifact"] for part in records if part["type"] == "artifact"]
    assert (artifact["type"], json.loads(artifact["metadata"])["trial"]) == ("model", 1)
    files = {item["path"]: Path(item["local_path"]) for item in artifact["manifest"]["contents"]}
    assert files.keys() == {"architecture.json", page.name}
    assert json.loads(files["architecture.json"].read_text()) == record.candidate.architecture
    assert files[page.name].read_bytes() == b"weights"
    steps = [part["history"]["item"]["_step"] for part in inspected(second) if part["type"] == "history"]
    assert steps == [2, 3]


def test_nothing_is_recorded_without_a_tracker(tmp_path: Path) -> None:
    study = studied(tmp_path / "study", TrackingSpec(name="none"))
    before = sorted(study.folder.iterdir())
    record_results(study, "retrain", [Result("1", {}, {"test_accuracy/mean": 0.75})])
    assert sorted(study.folder.iterdir()) == before


def test_the_best_network_is_stored_with_its_checkpoint_unless_that_holds_a_pickle(tmp_path: Path) -> None:
    """Check the artifacts of the best and the knee of a study, whose checkpoints a test writes."""
    study = studied(tmp_path / "study", TrackingSpec(name="none"))
    complete = [record for record in study.records() if record.values]
    found = standing(study.believer, complete)
    assert kept_networks(study, complete, found, "none") == {}
    for member in ("checkpoint.json", "archive/data.pkl"):
        for record in complete:
            for path in study.trial_folder(record.number).glob("attempt*-epoch*.pt"):
                with zipfile.ZipFile(path, "w") as archive:
                    archive.writestr(member, "{}")
        kept = kept_networks(study, complete, found, "front")
        assert kept.keys() == {"best", "knee", *(f"trial-{number}" for number in found["front"])}
        for network in kept.values():
            expected = f"trials/{network['trial']:05d}/attempt1-epoch003.pt" if member == "checkpoint.json" else None
            assert network["weights"] == expected


STUB = """
import json, os

class Artifact:
    def __init__(self, name):
        self.name = name

    def link(self, target, aliases):
        if "refused" in target:
            raise ValueError("no permission")
        with open(os.environ["LINKS"], "a") as file:
            file.write(json.dumps([self.name, target, aliases]) + "\\n")

class Api:
    def artifact(self, name, type):
        return Artifact(name)
"""


@pytest.mark.slow
def test_best_and_knee_are_linked_in_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the calls of W&B's interface, for which a stub stands."""
    study = studied(tmp_path / "study")
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "wandb.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stub"))
    monkeypatch.setenv("LINKS", str(tmp_path / "links"))
    identity = json.loads((study.folder / "wandb" / "run.json").read_text())["id"]
    names = [f"team/inception-nas/{identity}-{role}:latest" for role in ("best", "knee")]
    spec = TrackingSpec(entity="team")
    assert link(study, spec, "wandb-registry-model/inception") == names
    links = [json.loads(line) for line in (tmp_path / "links").read_text().splitlines()]
    roles = ("best", "knee")
    assert links == [[n, "wandb-registry-model/inception", [r]] for n, r in zip(names, roles, strict=True)]
    with pytest.raises(ValueError, match=r"registry of W&B must take .*-best:latest and .*: ValueError: no permission"):
        link(study, spec, "wandb-registry-refused/x")
    with pytest.raises(ValueError, match=r"registry must be of the form wandb-registry-NAME/COLLECTION, got 'model'"):
        link(study, spec, "model")
