"""Measurement on another device: the folder, its script in a process without this project, and what it brings back."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.cli import main
from nas.exports.profiling import standalone
from nas.exports.profiling.taken_back import latencies, model_of, read_results
from nas.exports.profiling.workload import FitPlan
from nas.objectives.latency.files import LatencyOptions, find
from nas.objectives.latency.machine import this_machine
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.references import REFERENCES
from search_space.space import Space, parse_space

elsewhere = pytest.importorskip("nas.exports.profiling.elsewhere")
pytest.importorskip("onnxruntime", reason="an extra")
SPACE = Path(__file__).parents[4] / "conf" / "space" / "quick.yaml"
OPTIONS = LatencyOptions(runtime="onnxruntime")
BLOCKED = """
import runpy, sys
class Blocker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {"nas", "search_space", "torch", "onnx"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
sys.argv = ["measure.py"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def quick() -> Space:
    return parse_space(yaml.safe_load(SPACE.read_text(encoding="utf-8")), Shape(1, 8, 8), 10)


def run_there(folder: Path) -> None:
    """Run the script as another device does: in a process that has neither this project nor torch nor onnx."""
    command = [sys.executable, "-I", "-B", "-c", BLOCKED]
    ran = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=240)
    assert ran.returncode == 0, ran.stderr


def changed(folder: Path, **fields: Any) -> Path:
    """Write results of another device, as if brought back."""
    document = json.loads((folder / "results.json").read_text())
    path = folder / "changed.json"
    path.write_text(json.dumps({**document, **fields}))
    return path


@pytest.fixture(scope="module")
def of_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a space that the script has measured."""
    folder = tmp_path_factory.mktemp("other") / "phone"
    plan = FitPlan(networks=16, operators=6, passes=1, rounds=1, turn_ms=0.5)
    job = elsewhere.space_job(quick(), OPTIONS, plan)
    written = elsewhere.write_folder(job, folder, lambda *_: None)
    assert written["networks"] == 22
    run_there(folder)
    return folder


def test_the_script_brings_back_a_model_of_its_device(
    of_space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    phone = {**standalone.device(), "model": "a phone", "system": "Android"}
    results = changed(of_space, device=phone)
    assert main(["measure", f"results={results}", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["machine"]["model"] == "a phone"
    assert document["options"] == {"model": document["model"]}
    with pytest.raises(ValueError, match="needs a model fitted on this device"):
        find(OPTIONS, quick())
    model = find(LatencyOptions(model=document["model"]), quick())
    graph = lower(quick().minimise(lambda architecture: len(str(architecture)), combined=False))
    least, most = model.range_ms
    assert least / 3 < model.predict(graph).milliseconds < most * 3
    words = ["space=quick", "data=digits", "samples=10", "objective=[val_accuracy,latency_ms]", "format=json"]
    assert main(["describe", *words, f"objective.latency_ms.options.model={document['model']}"]) == 0
    assert json.loads(capsys.readouterr().out)["costs"]["latency_ms"]["min"] > 0


def test_a_stopped_script_goes_on(of_space: Path) -> None:
    rows = of_space / "rows.jsonl"
    whole = [json.loads(line) for line in rows.read_text().split("\n") if line]
    rows.write_text("\n".join(json.dumps(row) for row in whole[:-1]) + '\n{"number": 0, "tu')
    run_there(of_space)
    again = json.loads((of_space / "results.json").read_text())["rows"]
    assert again[:-1] == whole[:-1]
    assert again[-1]["turns"].keys() == whole[-1]["turns"].keys()


def test_the_script_describes_this_device_as_the_program_does() -> None:
    assert standalone.device() == this_machine()


def test_the_median_of_known_turns_is_the_model_target(of_space: Path) -> None:
    document = json.loads((of_space / "results.json").read_text())
    for row in document["rows"]:
        row["turns"] = {name: [2.0, 3.0, 100.0] for name in row["turns"]}
    model = model_of(read_results(changed(of_space, rows=document["rows"])))
    assert model.range_ms == (3.0, 3.0)


def test_named_networks_come_back_with_intervals_and_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "board"
    network = tmp_path / "network.json"
    network.write_text(json.dumps(quick().draw(random.Random(0)).to_json()))
    assert main(["measure", f"architecture={network}", f"on={folder}", "seconds=0.1"]) == 0
    assert "python measure.py" in capsys.readouterr().out
    run_there(folder)
    assert main(["measure", f"results={folder / 'results.json'}", "format=json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    assert found["network"] == str(network)
    assert 0 < found["low_ms"] <= found["median_ms"] <= found["high_ms"]


def test_ratios_are_of_the_same_turns(tmp_path: Path) -> None:
    turns = {"a": [1.0, 2.0, 4.0], "b": [2.0, 4.0, 8.0], standalone.REFERENCE: [0.1, 0.2, 0.4]}
    rows = [{"number": number, "seconds": 1.0, "turns": turns} for number in range(4)]
    job = {"kind": "networks", "circumstances": OPTIONS.circumstances}
    job["networks"] = [{"name": name, "network_id": name} for name in ("a", "b")]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"format": 1, "job": job, "device": {}, "versions": {}, "rows": rows}))
    found = latencies(read_results(path))
    assert [network["median_ms"] for network in found["networks"]] == [2.0, 4.0]
    assert found["networks"][1]["ratio"] == pytest.approx({"ratio": 2.0, "low": 2.0, "high": 2.0})
    assert found["slowdown"] == pytest.approx(2.0)
    assert not found["steady"]


@pytest.mark.parametrize(
    ("fields", "law"),
    [
        ({"format": 99}, "its format is 99, this version reads 1"),
        ({"rows": []}, "nothing was measured"),
        ({"rows": [{"number": 0, "seconds": 1, "turns": {"n0": [1.0]}}]}, "turns of every network and of the ref"),
        ({"rows": [{"number": 0, "seconds": 1, "turns": {"reference workload": [-1]}}]}, "must be positive numbers"),
        ({"job": {}}, "KeyError: 'kind'"),
        ({"device": 3}, "AttributeError"),
    ],
)
def test_damaged_results_are_refused_in_one_line(of_space: Path, fields: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        read_results(changed(of_space, **fields))


def test_results_of_other_networks_are_refused(of_space: Path) -> None:
    document = json.loads((of_space / "results.json").read_text())
    job = {**document["job"], "architectures": document["job"]["architectures"][1:]}
    with pytest.raises(ValueError, match="results must be of the networks"):
        model_of(read_results(changed(of_space, job=job)))


def test_text_of_a_device_is_printable(of_space: Path) -> None:
    results = read_results(changed(of_space, device={"model": "\x1b[2Jphone", "no name": "left out"}))
    assert dict(results.device) == {"model": "[2Jphone"}


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    job = elsewhere.networks_job({"resnet20": REFERENCES["resnet20"]()}, OPTIONS, 1.0)
    with pytest.raises(ValueError, match="on must be a new or an empty folder"):
        elsewhere.write_folder(job, tmp_path, lambda *_: None)
    bfloat16 = elsewhere.networks_job({}, LatencyOptions(runtime="onnxruntime", precision="bfloat16"), 1.0)
    with pytest.raises(ValueError, match="another device is measured by runtime=onnxruntime in float32"):
        elsewhere.write_folder(bfloat16, tmp_path / "new", lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["results=a.json", "reference=resnet20"], "results= takes back what was measured elsewhere"),
        (["fit=true", "reference=resnet20"], "networks must be named to be measured, by study=.* got both"),
        (["reference=resnet20", "pick=all"], "pick must be"),
    ],
)
def test_words_that_contradict_one_another_are_refused(
    words: list[str], law: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", *words]) == 2
    assert re.search(law, capsys.readouterr().err)
