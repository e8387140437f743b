"""Retraining with baselines and on the validation part too, from the command to the exported bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.data import DataSpec, load_whole
from nas.exports.subject import preprocessing


def test_baselines_are_trained_in_the_same_run_and_stand_beside_the_front(nas: Any) -> None:
    code, out, err = nas(
        "retrain", "seeds=1", "pick=0", "training.epochs=1", "baselines=[resnet20,googlenet]", "format=json"
    )
    assert code == 0, err
    document = json.loads(out)
    (network,), (resnet, googlenet) = document["networks"], document["baselines"]
    for baseline in (resnet, googlenet):
        assert baseline["costs"]["macs"] <= network["costs"]["macs"] or baseline["width"] == 0.01
        assert [seed["seed"] for seed in baseline["seeds"]] == [0]
        assert baseline["training"] == network["training"]
        assert baseline["test_accuracy"]["n"] == 1
    assert [row["baseline"] for row in document["against_baselines"]] == ["resnet20", "googlenet"]
    assert {row["trial"] for row in document["against_baselines"]} == {0}
    assert "baseline resnet20: " in err
    assert "Baseline googlenet at " in err
    assert f"nas export study={nas.study} pick=0" in " ".join(err.split())
    stored = nas.study / "retrain" / "baselines" / f"resnet20-{resnet['width']:g}" / "result.json"
    assert json.loads(stored.read_text())["test_accuracy"] == resnet["test_accuracy"]
    assert [each["name"] for each in network["classes"]] == [str(digit) for digit in range(10)]
    assert sum(each["n"] for each in network["classes"]) == 359
    front = nas.json("front")
    tested = {item["trial"]: item.get("test_accuracy") for item in front["front"]}
    if 0 in tested:
        assert tested[0] == network["test_accuracy"]
    assert front["optimism"] == document["optimism"]


def test_a_training_on_the_validation_part_has_no_validation_accuracy_and_the_bundle_says_so(nas: Any) -> None:
    words = ("seeds=1", "pick=0", "train_on=train+validation", "training.ema_decay=0.5")
    document = nas.json("retrain", *words)
    (network,) = document["networks"]
    assert (network["train_on"], network["val_accuracy"]["n"]) == ("train+validation", 0)
    (seed,) = network["seeds"]
    assert (seed["weights"], seed["train_on"]) == ("average", "train+validation")
    assert not any(name.startswith("val_") for name in seed)
    code, out, err = nas("export", "pick=0", "formats=[safetensors,card]", "weights=retrain", "format=json")
    assert code == 0, err
    (bundle,) = json.loads(out)["exported"]
    assert bundle["weights"]["train_on"] == "train+validation"
    assert "the retraining was on the validation images too" in " ".join(err.split())
    folder = Path(bundle["output"])
    assert "Trained on the training and the validation part" in (folder / "README.md").read_text()
    rule = json.loads((folder / "preprocessing.json").read_text())
    whole = preprocessing(load_whole(DataSpec()))
    assert rule["mean"] == pytest.approx(whole["mean"])
    assert rule["std"] == pytest.approx(whole["std"])
    code, _, err = nas("retrain", "seeds=1", "pick=0", "training.ema_decay=0.5")
    assert code == 2
    assert 'train_on is "train+validation" there and "train" here' in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train_on=test"], "train_on must be train or train+validation, got 'test'"),
        (["baselines=[vgg]"], "baselines must be of resnet20, mobilenet_v2, googlenet, got 'vgg'"),
        (["baselines=[resnet20,resnet20]"], "baselines must differ, got resnet20, resnet20"),
    ],
)
def test_mistakes_end_in_a_line(nas: Any, words: list[str], message: str) -> None:
    code, _, err = nas("retrain", *words)
    assert code == 2
    assert message in " ".join(err.split())
