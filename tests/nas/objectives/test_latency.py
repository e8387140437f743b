"""Predicted latency: composition, fit on a device with known times, files, and the cost of a search."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine import SMALL, space_of
from fake_device import model_of, network_ms

from nas.config.objective import Objective
from nas.objectives.axes import axes_of
from nas.objectives.costs import Measurable, all_costs, built_in_costs, title_of
from nas.objectives.latency.files import LatencyOptions, file_of, find, fitted_for, read, save, space_identity
from nas.objectives.latency.machine import this_machine
from nas.objectives.latency.model import Errors, LatencyModel
from nas.objectives.latency.operators import COLUMNS, features_of, graph_of, key_of, operators_of
from nas.objectives.latency.parts import Predictor
from nas.objectives.latency.regression import Measured, errors_of
from nas.objectives.limits import Limits
from nas.objectives.requirements import Requirements
from nas.objectives.values import costs_known
from search_space.graph import Concat, Dropout, Graph, Identity, Linear, Pool, Residual, Seq, Shape, Tap, conv
from search_space.lowering import lower
from search_space.references import REFERENCES

LATENCY = Objective("latency_ms", "cost", "latency_ms", "minimize", scale="log")
SPACE = space_of(SMALL)
MODEL = model_of(SPACE)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let models be kept in a folder of the test's own."""
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    return tmp_path / "latency"


def hand_made() -> Graph:
    branches = Concat((conv(8, 1), Seq((Pool("max", (3, 3), padding=(1, 1)), conv(4, 1)))))
    body = Residual(conv(12, 3), Identity(), activation="relu")
    return Graph(Seq((branches, body, Dropout(0.5), Tap(Linear(2), 0.3), Linear(3))), Shape(4, 6, 6))


def test_operators_of_a_hand_made_network_are_its_leaves_and_joins() -> None:
    kinds = [operator.kind for operator in operators_of(hand_made())]
    assert kinds == ["pointwise", "max_pool", "pointwise", "concat", "convolution", "add", "linear"]


def test_features_of_a_convolution_are_its_closed_forms() -> None:
    pointwise = operators_of(hand_made())[0]
    found = dict(zip(COLUMNS, features_of(pointwise), strict=True))
    cells = 36
    assert found == {
        "calls": 1,
        "multiplied": 4 * 8 * cells,
        "read": 4 * cells,
        "written": 8 * cells,
        "weights": 4 * 8 + 2 * 8,
        "window": 0,
        "norms": 1,
        "normed": 8 * cells,
        "activations": 1,
        "activated": 8 * cells,
    }
    assert graph_of(pointwise) == Graph(conv(8, 1), Shape(4, 6, 6))
    assert graph_of(operators_of(hand_made())[3]) is None


def test_a_prediction_is_the_sum_over_the_operators() -> None:
    first = operators_of(hand_made())[0]
    calls = (0.0, 0.5, *[0.0] * (len(COLUMNS) - 1))
    model = LatencyModel(
        device={},
        circumstances={},
        fitted_on={},
        operators={key_of(first): 7.0},
        alone={},
        fixed=0.25,
        terms={"pointwise": (2.0, *[0.0] * len(COLUMNS)), "linear": calls},
        largest={},
        range_ms=(1.0, 20.0),
        errors={},
    )
    found = model.predict(hand_made())
    assert found.milliseconds == pytest.approx(0.25 + 2 * 7.0 + 0.5)
    assert found.outside
    assert sum(ms for _, ms in model.parts_of(hand_made())) == pytest.approx(2 * 7.0 + 0.5)


def test_the_fit_recovers_a_device_whose_times_are_known() -> None:
    assert MODEL.errors["model"].median < 0.01
    assert MODEL.errors["model"].tau > 0.97
    assert MODEL.errors["macs"].median > 3 * MODEL.errors["model"].median
    generator = random.Random(99)
    for _ in range(20):
        graph = lower(SPACE.draw(generator))
        assert MODEL.predict(graph).milliseconds == pytest.approx(network_ms(graph), rel=0.05)


def test_more_channels_are_never_predicted_to_be_faster() -> None:
    def network(width: int) -> Graph:
        return Graph(Seq((conv(width, 3), conv(8, 3))), Shape(3, 8, 8))

    predicted = [MODEL.predict(network(width)).milliseconds for width in (4, 8, 16, 64)]
    assert predicted == sorted(predicted)


@pytest.mark.parametrize("seed", range(8))
def test_parts_of_an_architecture_give_the_prediction_of_its_graph(seed: int) -> None:
    predictor, architecture = Predictor(MODEL, capacity=3 + seed), SPACE.draw(random.Random(seed))
    whole = MODEL.predict(lower(architecture))
    for found in (predictor.predict(architecture), predictor.predict(architecture)):
        assert found.milliseconds == pytest.approx(whole.milliseconds)
        assert found.outside == whole.outside


def test_a_network_of_another_kind_is_outside_the_fitted_range() -> None:
    assert MODEL.predict(REFERENCES["googlenet"]()).outside
    inside = [MODEL.predict(lower(SPACE.draw(random.Random(seed)))).outside for seed in range(20)]
    assert inside.count(False) >= 18


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_operators_of_every_reference_have_features_that_are_not_negative(name: str) -> None:
    graph = REFERENCES[name]()
    features = np.array([features_of(operator) for operator in operators_of(graph)])
    assert features.min() >= 0
    assert features[:, COLUMNS.index("multiplied")].sum() == built_in_costs().of_graph(graph)["macs"]


def test_errors_are_shares_of_the_measured_latency() -> None:
    found = errors_of(np.array([1.1, 2.0, 2.4, 4.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found == Errors(4, pytest.approx(0.05), pytest.approx(0.17), 1.0)


def test_a_model_is_found_for_its_device_circumstances_and_space(folder: Path) -> None:
    path = save(MODEL)
    assert path.parent == folder
    assert path == file_of(this_machine(), LatencyOptions().circumstances, space_identity(SPACE))
    assert find(LatencyOptions(), SPACE) == MODEL
    assert read(path).hash == MODEL.hash
    with pytest.raises(
        ValueError, match=r"latency_ms needs a model fitted on this device .* runtime=onnxruntime batch=8"
    ):
        find(LatencyOptions(runtime="onnxruntime", batch=8), SPACE)
    assert find(LatencyOptions(runtime="other", model=str(path)), SPACE) == MODEL


def test_a_damaged_model_is_refused_in_one_line(tmp_path: Path) -> None:
    for text, law in (
        ("{", "must be a readable JSON file"),
        ("[]", "must have every field"),
        (json.dumps({**MODEL.to_json(), "columns": ["read"]}), "features of a latency model"),
        (json.dumps({**MODEL.to_json(), "fixed": -1}), "must have positive times"),
        (json.dumps({**MODEL.to_json(), "terms": {"pointwise": [1.0]}}), "must have 11 numbers >= 0"),
    ):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(ValueError, match=law):
            read(tmp_path / "model.json")


@pytest.mark.parametrize(("field", "value"), [("batch", 0), ("threads", "two"), ("runtime", 3)])
def test_options_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"options of latency_ms.{field} must be"):
        LatencyOptions(**{field: value})  # type: ignore[arg-type]  # the wrong types are what is tested


def test_measurements_must_be_enough_and_positive() -> None:
    graphs = [hand_made()] * 16
    with pytest.raises(ValueError, match="must be fitted on 16 networks, got 3"):
        Measured(graphs[:3], np.ones(3))
    with pytest.raises(ValueError, match="16 latencies must be positive"):
        Measured(graphs, np.zeros(16))


def test_latency_is_a_cost_only_where_it_is_asked_for() -> None:
    save(MODEL)
    assert "latency_ms" not in built_in_costs().names
    assert all_costs().names == ("params", "macs", "memory_mib", "latency_ms")
    assert title_of("latency_ms") == "latency (ms)"
    assert "latency_ms" not in costs_known((), SPACE).names
    for costs in (costs_known((LATENCY,), SPACE), costs_known((), SPACE, ["latency_ms"])):
        assert costs.names == ("params", "macs", "memory_mib", "latency_ms")
        assert costs.origins == {"latency_ms": MODEL.hash}
    with pytest.raises(ValueError, match=r"options of latency_ms must be of runtime, .* got wheels"):
        costs_known((Objective("latency_ms", "cost", "latency_ms", "minimize", options={"wheels": 4}),), SPACE)
    with pytest.raises(ValueError, match=r"objective.macs.options must be empty, macs takes none"):
        costs_known((Objective("macs", "cost", "macs", "minimize", options={"wheels": 4}),), SPACE)
    with pytest.raises(ValueError, match="must be asked of a device's model"):
        all_costs().of(Measurable(graph=hand_made()))


def test_the_latency_axis_and_its_limit_follow_the_model() -> None:
    save(MODEL)
    (axis,) = axes_of((LATENCY,), SPACE)
    costs = costs_known((LATENCY,), SPACE)
    middle = (axis.best * axis.worst) ** 0.5
    requirements = Requirements(Limits(max_latency_ms=middle), costs=costs)
    drawn = [requirements.examine(SPACE.draw(random.Random(seed))) for seed in range(30)]
    assert all(axis.best <= known.costs["latency_ms"] <= axis.worst * 1.0001 for known in drawn)
    for known in drawn:
        assert known.feasible == (MODEL.predict(lower(known.architecture)).milliseconds <= middle)
    assert {known.feasible for known in drawn} == {True, False}


def test_without_a_model_for_the_images_the_search_is_refused() -> None:
    save(MODEL)
    with pytest.raises(ValueError, match=r"nas measure fit=true space=small, with the same data=, fits one"):
        axes_of((LATENCY,), replace(SPACE, input=Shape(3, 20, 20)))


def test_networks_outside_the_fitted_range_are_named() -> None:
    save(MODEL)
    costs = costs_known((LATENCY,), SPACE)
    inside = next(a for seed in range(9) if not MODEL.predict(lower(a := SPACE.draw(random.Random(seed)))).outside)
    assert costs.extrapolated(Measurable(inside)) == ()
    assert costs.extrapolated(Measurable(graph=REFERENCES["googlenet"]())) == ("latency_ms",)
    assert built_in_costs().extrapolated(Measurable(inside)) == ()


def test_models_of_this_device_are_found_by_the_shape_of_images() -> None:
    save(MODEL)
    save(replace(MODEL, device={"device": "cpu", "model": "a phone"}))
    assert [model.hash for model in fitted_for(SPACE.input)] == [MODEL.hash]
    assert fitted_for((3, 20, 20)) == []
