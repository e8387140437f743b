"""Model card and Hub folder: read by the Hub's own library, with the numbers of the study, and no text as markup."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

from nas.exports.bundle import write_bundle
from nas.exports.format import choose_formats, load_format
from nas.exports.subject import Subject
from nas.study.latencies import Latency, MeasuredOn, keep
from nas.study.summary import open_for_reading
from search_space.graph import Shape
from search_space.network import build
from search_space.references.resnet import resnet20


@pytest.fixture(scope="module")
def subject() -> Subject:
    graph = resnet20(Shape(1, 8, 8), 3)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    network = build(graph).eval()
    with torch.inference_mode():
        logits = network((torch.from_numpy(pixels) / 255 - 0.5) / 0.5).numpy()
    rule = {"mean": [0.5], "std": [0.5], "classes": ["a", "<script>alert(1)</script>", "b|`c`"]}
    origin = {"from": "retrain", "seed": 1, "epochs": 3, "test_accuracy": 0.9, "test_images": 100}
    told = {
        "study": 'my "study"\n---', "trial": 3, "weights": origin, "costs": {"params": 1234567}, "licence": "mit",
        "data": "<b>digits</b>", "retrained": {"mean": 0.88, "sd": 0.02, "n": 3}, "command": "nas search data=digits",
    }  # fmt: skip
    return Subject({"classes": 3}, graph, network, rule, pixels, logits.argmax(axis=1), logits, pixels, told)


def test_the_hubs_library_reads_the_card(subject: Subject, tmp_path: Path) -> None:
    write_bundle(subject, tmp_path / "bundle", choose_formats(["hub"])[0], {})
    card = ModelCard.load(tmp_path / "bundle" / "README.md")
    data = card.data.to_dict()
    assert (data["license"], data["pipeline_tag"]) == ("mit", "image-classification")
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("accuracy", 0.9, "test")
    for told in ("0.9000 on the 100 images of the test part", "over 3 seeds: 0.8800 ± 0.0200", "1,234,567"):
        assert told in card.text
    assert "<script>" not in card.text
    assert "<b>" not in card.text
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    assert config["id2label"]["1"] == "<script>alert(1)</script>"
    assert (tmp_path / "bundle" / "network.svg").read_text().startswith("<svg")
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    write_bundle(subject, tmp_path / "bundle", choose_formats(["safetensors"])[0], {})
    assert not (tmp_path / "bundle" / "network.svg").exists()  # a companion goes with its format
    assert (tmp_path / "bundle" / "notes.txt").exists()


def test_a_card_without_a_test_says_so(subject: Subject, tmp_path: Path) -> None:
    origin = {"from": "search", "val_accuracy": 0.75}
    changed = replace(subject, circumstances={"weights": origin, "validation_images": 40})
    write_bundle(changed, tmp_path / "bundle", choose_formats(["card"])[0], {})
    text = (tmp_path / "bundle" / "README.md").read_text()
    assert "0.7500 on the 40 images of the validation part" in text
    assert "rather too high" in text
    assert "license" not in text


def test_a_real_export_has_both(nas: Any) -> None:
    (record,) = [trial for trial in open_for_reading(nas.study).records if trial.number == 0]
    latency = Latency(1.25, 1.0, 1.5, steady=True)
    circumstances = {"runtime": "onnxruntime", "batch": 8, "threads": 2, "precision": "float32", "device": "cpu"}
    keep(nas.study, MeasuredOn({"model": "a processor"}, circumstances, {record.candidate.network_id: latency}))
    (bundle,) = nas.json("export", "pick=0", "formats=[hub]", "licence=apache-2.0")["exported"]
    card = ModelCard.load(Path(bundle["output"]) / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.eval_results[0].metric_value == bundle["weights"]["val_accuracy"]
    assert "nas search study=" in card.text
    assert "| onnxruntime, batch 8, 2 threads on a processor | 1.25 | 1 to 1.5 |" in card.text


def test_measured_latencies_are_told_with_their_device(subject: Subject, tmp_path: Path) -> None:
    measured = {"on": "onnxruntime on a <b>processor</b>", "median_ms": 1.23456, "low_ms": 1.2, "high_ms": 1.5}
    found = [{**measured, "steady": True}, {**measured, "median_ms": 9.0, "steady": False}]
    changed = replace(subject, circumstances={**subject.circumstances, "latencies": found})
    load_format("card").write(changed, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| onnxruntime on a \\<b\\>processor\\</b\\> | 1.235 | 1.2 to 1.5 |" in text
    assert ", which did other things too | 9 | 1.2 to 1.5 |" in text
    load_format("card").write(subject, tmp_path)
    assert "Latency" not in (tmp_path / "README.md").read_text()
