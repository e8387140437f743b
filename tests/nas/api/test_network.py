"""One network as an object."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from bars import bars

from nas import Network, Study
from search_space.cost import cost
from search_space.differences import differences

pytestmark = pytest.mark.xdist_group("api")  # one search for all


def test_weights_predict_what_the_search_measured(study: Study) -> None:
    network = study.pick()
    module = network.module()
    assert not module.training
    test = bars(30, seed=1)
    found = network.predict(test.images)
    assert set(found) <= {"left", "middle", "right"}
    shares = network.predict_proba(test.images)
    assert shares.shape == (30, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    names = np.array(["left", "middle", "right"])
    assert (names[shares.argmax(axis=1)] == found).all()
    assert network.predict(test.images[:0]).shape == (0,)


def test_fresh_weights_follow_their_seed_and_leave_the_random_state(study: Study) -> None:
    network = study[0]
    torch.manual_seed(3)
    first = network.module(weights=False, seed=1)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.rand(1) == drawn
    again, other = network.module(weights=False, seed=1), network.module(weights=False, seed=2)
    weights = [next(iter(module.parameters())) for module in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_an_export_is_read_back(study: Study, tmp_path: Path) -> None:
    network = study.pick()
    folder = network.export(tmp_path / "handover", formats=["safetensors"])
    assert folder == tmp_path / "handover"
    assert (folder / "weights.safetensors").is_file()
    read = Network.from_file(folder / "architecture.json")
    assert (read.id, read.summary, read.costs["macs"]) == (network.id, network.summary, network.costs["macs"])
    with pytest.raises(ValueError, match=r"a network must be a trial of a study to have weights"):
        read.module()
    with pytest.raises(ValueError, match=r"there is none at"):
        Network.from_file(tmp_path / "nothing.json")


def test_a_published_network_fits_the_images_that_are_given() -> None:
    network = Network.reference("googlenet", input=(3, 32, 32), classes=10)
    assert network.module(weights=False).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert network.costs["params"] == cost(network.graph).params
    assert Network.reference("googlenet").costs["macs"] == 1_498_376_192
    assert Network.reference("resnet20", classes=7).graph.output.channels == 7
    with pytest.raises(ValueError, match=r"reference must be one of googlenet"):
        Network.reference("googlnet")
    with pytest.raises(ValueError, match=r"has only layers"):
        network.diff(network)


def test_the_difference_of_two_networks(study: Study) -> None:
    before, after = study[0], study[1]
    found = before.diff(after)
    assert before.architecture is not None
    assert after.architecture is not None
    assert found.changes == differences(before.architecture, after.architecture)
    assert found.words == [change.text() for change in found.changes]
    assert found.costs["macs"]["percent"] == pytest.approx(100 * (after.costs["macs"] / before.costs["macs"] - 1))
    low, high = found.objectives["val_accuracy"]["interval"]
    assert low <= found.objectives["val_accuracy"]["difference"] <= high
    assert all(word in str(found) for word in found.words)
    assert json.loads(json.dumps(found.to_json()))["networks"][0]["name"] == "bars:0"
    ElementTree.fromstring(found.draw().svg)
    assert before.diff(before).words == []
    assert "no choice differs" in str(before.diff(before))


def test_a_drawing_is_shown_and_saved(study: Study, tmp_path: Path) -> None:
    drawing = study[0].draw()
    assert drawing._repr_svg_() == drawing.svg
    assert ElementTree.fromstring(drawing.save(tmp_path / "net.svg").read_text()).tag.endswith("svg")


def test_a_retraining_is_measured_on_the_test_part(study: Study) -> None:
    result = study.pick().retrain(seeds=2, epochs=1, slots=1)
    assert result["test_accuracy"]["n"] == 2
    assert [seed["test_images"] for seed in result["seeds"]] == [30, 30]
    assert "baselines" not in result
    beside = study.pick().retrain(1, baselines=["resnet20"], train_on="train+validation", epochs=1, replace=True)
    assert [row["baseline"] for row in beside["baselines"]] == ["resnet20"]
    assert beside["against_baselines"][0]["trial"] == study.pick().number
    assert beside["baselines"][0]["costs"]["macs"] <= beside["costs"]["macs"]
    assert beside["val_accuracy"]["n"] == 0
    with pytest.raises(ValueError, match=r"there is no 'training.epoch' to set; did you mean .*epochs"):
        study.pick().retrain(epoch=3)
