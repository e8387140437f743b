"""Fit of a latency model on a fake device, and its measurements, which go on where they were stopped."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from nas.cli import main
from nas.exports import libraries
from nas.exports.profiling import operators_alone
from nas.exports.profiling.fitting import measure, rows_of
from nas.exports.profiling.runtimes import missing, prepare
from nas.exports.profiling.workload import FitPlan, workload_of
from nas.objectives.latency.files import LatencyOptions
from nas.objectives.latency.operators import graph_of, operators_of
from search_space.cost import cost
from search_space.graph import Graph, Shape
from search_space.lowering import lower
from search_space.network import build
from search_space.space import Space, parse_space

SPACE = Path(__file__).parents[4] / "conf" / "space" / "quick.yaml"


def quick() -> Space:
    return parse_space(yaml.safe_load(SPACE.read_text(encoding="utf-8")), Shape(1, 8, 8), 10)


def test_measurements_go_on_after_the_last_whole_line(tmp_path: Path) -> None:
    workload = workload_of(quick(), plan := FitPlan(networks=16, operators=20, passes=1, rounds=1, turn_ms=0.001))
    prepared: list[Graph] = []

    def fake(graph: Graph) -> Any:
        prepared.append(graph)
        return lambda: None

    file = tmp_path / "rows.jsonl"
    whole = measure(workload, plan, fake, file, lambda *_: None, single_thread=True)
    names = set().union(*(row.items for row in whole))
    assert names == set(workload.graphs)
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])
    assert len(list(rows_of(file))) == len(lines) - 1
    prepared.clear()
    again = measure(workload, plan, fake, file, lambda *_: None, single_thread=True)
    assert len(prepared) == len(whole[-1].items)
    assert again[:-1] == whole[:-1]


@pytest.mark.parametrize(
    ("runtime", "precision", "tolerance"),
    [
        ("torch", "float32", 1e-4),
        ("onnxruntime", "float32", 1e-4),
        ("onnxruntime", "int8", 0.4),
        ("openvino", "float32", 1e-4),
        pytest.param(
            "torch_compile",
            "float32",
            1e-4,
            marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore")],  # of the compiler
        ),
    ],
)
def test_a_prepared_network_is_the_network(runtime: str, precision: str, tolerance: float) -> None:
    if lack := missing(runtime):
        pytest.skip(lack)
    graph = lower(quick().draw(random.Random(1)))
    found = prepare(graph, LatencyOptions(runtime=runtime, batch=3, precision=precision))()
    torch.manual_seed(0)
    network = build(graph).eval()
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(images).numpy()
    given: Any = found if isinstance(found, torch.Tensor) else found[0]  # type: ignore[index]
    np.testing.assert_allclose(np.asarray(given), expected, atol=tolerance)


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ({"runtime": "tvm"}, "runtime must be one of torch, torch_compile, onnxruntime, openvino, got 'tvm'"),
        ({"device": "tpu"}, "device must be cpu or cuda, got 'tpu'"),
        ({"precision": "int8"}, "precision of torch must be one of float32, bfloat16, got 'int8'"),
        ({"runtime": "onnxruntime", "precision": "bfloat16"}, "in float32 or int8 on the cpu, got bfloat16 on cpu"),
        ({"runtime": "openvino", "precision": "int8"}, "in float32 or bfloat16 on the cpu, got int8 on cpu"),
    ],
)
def test_circumstances_that_can_not_be_measured_are_refused(options: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        prepare(lower(quick().draw(random.Random(0))), LatencyOptions(**options))


def test_a_runtime_that_lacks_something_is_unavailable_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = lower(quick().draw(random.Random(0)))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match="torch_compile needs a C\\+\\+ compiler, there is no no-such-compiler"):
        prepare(graph, LatencyOptions(runtime="torch_compile"))
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="runtime=openvino needs onnx, openvino: pip install"):
        prepare(graph, LatencyOptions(runtime="openvino"))
    with pytest.raises(ValueError, match="runtime=onnxruntime needs onnx, onnxruntime: pip install"):
        prepare(graph, LatencyOptions(runtime="onnxruntime"))


def test_no_model_is_fitted_for_a_runtime_that_compiles_each_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "fit=true", "runtime=torch_compile"]) == 2
    assert "a model is fitted on hundreds of networks, each of which torch_compile compiles" in capsys.readouterr().err


def test_the_command_fits_a_model_by_which_a_space_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    assert main(["measure", "fit=true", "space=quick", "networks=16", "seconds=0.1", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["errors"]) == {"model", "macs", "params"}
    assert Path(document["model"]).is_file()
    words = ["space=quick", "data=digits", "objective=[val_accuracy,latency_ms]", "samples=20", "format=json"]
    assert main(["describe", *words]) == 0
    costs = json.loads(capsys.readouterr().out)["costs"]
    assert 0 < costs["latency_ms"]["min"] <= costs["latency_ms"]["median"] <= costs["latency_ms"]["max"]


def test_the_command_measures_named_networks_beside_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "reference=resnet20", "seconds=0.2", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (found,) = document["networks"]
    assert 0 < found["low_ms"] <= found["median_ms"] <= found["high_ms"]
    assert found["ratio"]["ratio"] == 1
    assert main(["measure"]) == 2
    assert "networks must be named to be measured" in capsys.readouterr().err


def test_measurements_of_another_workload_are_told_apart() -> None:
    one, again, other = (workload_of(quick(), FitPlan(networks=16, operators=4, seed=seed)) for seed in (0, 0, 1))
    assert one.identity == again.identity != other.identity


def test_a_third_of_the_networks_are_near_the_cheapest() -> None:
    workload = workload_of(quick(), FitPlan(networks=21, operators=0))
    macs = [cost(graph).macs for graph in workload.networks]
    assert macs[0] == min(macs)
    assert sorted(macs)[:3] == sorted(macs[index] for index in (0, 3, 6))


def test_operators_of_a_network_are_measured_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = lower(quick().draw(random.Random(3)))

    def fake(graphs: dict[str, Graph], *_: object) -> dict[str, Any]:
        times = {name: float(cost(found).macs + 1) for name, found in graphs.items()}
        rows = [
            {"network": name, **dict.fromkeys(("median_ms", "low_ms", "high_ms"), ms)} for name, ms in times.items()
        ]
        return {"networks": rows, "steady": True}

    monkeypatch.setattr(operators_alone, "measure_networks", fake)
    found = operators_alone.measure_operators("mine", graph, LatencyOptions(), 1.0)
    rows = found["operators"]
    kinds = [operator for operator in operators_of(graph) if graph_of(operator) is not None]
    assert sum(row["count"] for row in rows) == len(kinds)
    assert sum(row["total_ms"] - row["count"] for row in rows) == cost(graph).macs
    assert [row["total_ms"] for row in rows] == sorted((row["total_ms"] for row in rows), reverse=True)
    assert (found["network"], found["median_ms"], found["steady"]) == ("mine", cost(graph).macs + 1, True)
