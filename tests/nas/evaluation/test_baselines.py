"""Baselines of a retraining: their width for a bound on MACs, and their results in a study's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.config.commands.networks import BASELINES
from nas.evaluation.retrain.baselines import scaled_baseline
from nas.evaluation.retrain.files import baseline_results, trial_results
from nas.evaluation.retrain.results import network_document
from nas.evaluation.retrain.task import Subject
from nas.jobs.files import write_json
from search_space.cost import cost
from search_space.documents import graph_of


def macs_of(document: object) -> int:
    assert isinstance(document, dict)
    return cost(graph_of(document)).macs


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("side", [8, 16, 32])
def test_a_baseline_is_as_wide_as_the_bound_allows(name: str, side: int) -> None:
    bound = 1_000_000 * side
    found = scaled_baseline(name, (1, side, side), 10, bound)
    assert macs_of(found.document) <= bound
    if found.width < 1:
        assert macs_of({**found.document, "width": round(found.width + 0.01, 2)}) > bound
    assert found.facts()["costs"]["macs"] == macs_of(found.document)


def test_the_published_widths_are_not_exceeded_and_a_bound_below_the_least_is_missed() -> None:
    large = scaled_baseline("resnet20", (3, 32, 32), 10, 1e12)
    assert (large.width, large.document) == (1.0, {"reference": "resnet20", "input": [3, 32, 32], "classes": 10})
    small = scaled_baseline("mobilenet_v2", (3, 32, 32), 10, 10)
    assert small.width == 0.01
    assert small.facts()["costs"]["macs"] > 10


def test_googlenet_has_its_form_for_small_images_below_64_pixels() -> None:
    forms = [scaled_baseline("googlenet", (3, side, side), 10, 1e7).document["reference"] for side in (63, 64)]
    assert forms == ["googlenet_small", "googlenet"]
    with pytest.raises(ValueError, match="a baseline must be one of resnet20, mobilenet_v2, googlenet, got 'vgg'"):
        scaled_baseline("vgg", (3, 8, 8), 10, 1e6)


def test_results_of_baselines_lie_beside_those_of_trials(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    subject = Subject.of_baseline(scaled_baseline("resnet20", (1, 8, 8), 10, 1e5), tmp_path, -1)
    assert subject.folder.relative_to(tmp_path).as_posix() == f"retrain/baselines/resnet20-{subject.facts['width']:g}"
    assert subject.name == "baseline resnet20"
    document = network_document(subject.facts, {"training": {"epochs": 3}}, [])
    subject.folder.mkdir(parents=True)
    write_json(subject.folder / "result.json", document)
    assert baseline_results(tmp_path) == [document]
    assert trial_results(tmp_path) == []
    write_json(subject.folder / "result.json", {**document, "baseline": "googlenet"})
    assert baseline_results(tmp_path) == []
    assert "baseline must be that of the folder resnet20-" in caplog.text
