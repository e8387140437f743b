"""Size of 8-bit files, and what they compute after everything that is not needed was left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.data import DataSpec, load, load_test
from nas.exports.bundle import write_bundle
from nas.exports.compact import compact
from nas.exports.format import choose_formats, load_format
from nas.exports.subject import Subject, preprocessing
from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.network import build

pytestmark = pytest.mark.xdist_group("compact")  # one search for all

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")

BRANCHES = (
    Branch("k1", 24),
    Branch("k3", 24, reduction=0.5, factorization="separable"),
    Branch("k5", 16, reduction=0.5, factorization="asymmetric"),
    Branch("pool", 16, pool="avg"),
)


@pytest.fixture(scope="module")
def digits() -> Subject:
    """Train a network of about 30 000 parameters for some seconds, with all test images to check it on."""
    data, test = load(DataSpec()), load_test(DataSpec())
    stages = tuple(Stage((Block("inception", BRANCHES),) * 2) for _ in range(2))
    architecture = Architecture(Shape(1, 8, 8), 10, Stem(16), stages, 0.0)
    graph = lower(architecture)
    rule = preprocessing(data)
    mean, std = (torch.tensor(rule[key])[:, None, None] for key in ("mean", "std"))
    train = data.train.take(np.arange(len(data.train)))
    torch.manual_seed(0)
    network = build(graph).train()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(6):
        for rows in torch.randperm(len(train.images)).split(64):
            optimizer.zero_grad()
            logits = network((train.images[rows] / 255 - mean) / std)
            torch.nn.functional.cross_entropy(logits, train.labels[rows].long()).backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        expected = network((test.images / 255 - mean) / std).numpy()
    labels = test.labels.numpy().astype(np.int64)
    calibration = train.images[:256].numpy()
    pixels = test.images.numpy()
    return Subject(architecture.to_json(), graph, network, rule, pixels, labels, expected, calibration, {})


def test_8_bits_keep_the_classes_in_under_a_third_of_the_bytes(digits: Subject, tmp_path: Path) -> None:
    assert 25_000 < sum(parameter.numel() for parameter in digits.network.parameters()) < 35_000
    checks = write_bundle(digits, tmp_path / "bundle", choose_formats(["int8"])[0], {})["checks"]
    whole, small = checks["model.onnx"], checks["model.int8.onnx"]
    assert whole["val_accuracy"] > 0.9
    assert small["argmax_agreement"] >= 0.98
    assert small["images"] == 359
    assert small["bytes"] < whole["bytes"] / 3


def test_a_compact_file_computes_what_the_whole_one_did(
    digits: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_format("onnx").write(digits, tmp_path)
    monkeypatch.setattr("nas.exports.int8.compact", lambda path: None)
    load_format("int8").write(digits, tmp_path)
    whole = (tmp_path / "model.int8.onnx").read_bytes()
    for file in ("model.int8.onnx", "model.onnx"):  # the float one has other attributes with defaults
        before = logits_of(tmp_path / file, digits)
        compact(tmp_path / file)
        assert np.array_equal(logits_of(tmp_path / file, digits), before)
    content = (tmp_path / "model.int8.onnx").read_bytes()
    assert len(content) < 0.9 * len(whole)
    assert b"network.body" in whole
    assert b"network.body" not in content
    compact(tmp_path / "model.int8.onnx")
    assert len((tmp_path / "model.int8.onnx").read_bytes()) == len(content)  # nothing more to leave out


def logits_of(file: Path, subject: Subject) -> Any:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"pixels": subject.pixels[:40]})[0]


@pytest.mark.few(1)
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_every_file_is_readable_by_whom_any_new_file_is(digits: Subject, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        (tmp_path / "preprocessing.json").write_text("{}")
        formats = choose_formats(())[0]
        for form in formats:
            form.write(digits, tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert len(modes) > len(formats)
    assert set(modes.values()) == {oct(0o666 & ~umask)}, modes
