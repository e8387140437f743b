"""Measured peaks of memory against sizes that are known, and the command that prints them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
import yaml

from nas.cli import main
from nas.config.training import Recipe
from nas.exports.profiling.memory import MemoryPlan, inference_peak, peak_of, training_peak
from search_space.cost import MIB
from search_space.eager import eager_mib, workspace_mib
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.space import parse_space
from search_space.step_memory import step_mib

SPACE = Path(__file__).parents[4] / "conf" / "space" / "quick.yaml"


def test_the_peak_of_a_call_is_what_it_held_at_once() -> None:
    def run() -> None:
        first = torch.zeros(3 * MIB // 4)
        del first
        second = torch.zeros(2 * MIB // 4)
        third = second + 1
        del second, third

    peak = peak_of(run)
    assert peak.allocated_mib == pytest.approx(4.0, abs=0.01)
    assert peak.resident_mib is None or peak.resident_mib >= 0


def test_measured_peaks_keep_to_the_bound_and_near_the_estimate() -> None:
    space = parse_space(yaml.safe_load(SPACE.read_text(encoding="utf-8")), Shape(3, 32, 32), 10)
    plan = MemoryPlan(Recipe(batch_size=32), batch=4)
    for seed in range(2):
        graph = lower(space.draw(random.Random(seed)))
        assert inference_peak(graph, plan).allocated_mib <= 4 * eager_mib(graph) + workspace_mib(graph, 4)
        assert training_peak(graph, plan).allocated_mib == pytest.approx(step_mib(graph, 32), rel=0.25)


@pytest.mark.slow
def test_the_command_measures_memory_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reference=resnet20", "memory=true", "training.batch_size=8", "format=json"]
    assert main(["measure", *words]) == 0
    (found,) = json.loads(capsys.readouterr().out)["networks"]
    assert 0 < found["inference"]["ideal_mib"] <= found["inference"]["allocated_mib"] <= found["inference"]["bound_mib"]
    assert found["training"]["allocated_mib"] == pytest.approx(found["training"]["estimate_mib"], rel=0.25)
    assert found["training"]["estimate_mib"] <= found["training"]["bound_mib"]


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["reference=resnet20", "runtime=onnxruntime"], "memory is measured with runtime=torch in float32"),
        (["fit=true"], "memory is measured here, of named networks"),
    ],
)
def test_what_memory_is_not_measured_of_is_refused(
    words: list[str], law: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", "memory=true", *words]) == 2
    assert law in capsys.readouterr().err
