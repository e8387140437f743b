"""Search of signals from the command line, to a file that classifies them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.cli import main


def test_signals_are_searched_exported_and_classified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="an extra")
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    labels = np.arange(240) % 2
    turns = np.arange(24) / 24 * np.where(labels, 5, 2)[:, None] + random.uniform(0, 1, (240, 1))
    signals = 3 * np.sin(2 * np.pi * turns) + 7
    np.savez("waves.npz", x=signals, y=labels, classes=np.array(["slow", "fast"]))
    quick = ["space=signals", "budget.trials=2", "training.epochs=4", "study=waves", "tracking=none", "workers.slots=1"]
    assert main(["search", "data=signals", "data.path=waves.npz", *quick]) == 0
    assert main(["export", "study=waves", "formats=[onnx]", "output=shipped"]) == 0
    rule = json.loads(Path("shipped/preprocessing.json").read_text())
    ((low, high),) = rule["scales"]
    assert (low, high) == (signals.min(), signals.max())
    pixels = np.rint((signals - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)[:, None, None]
    (logits,) = onnxruntime.InferenceSession("shipped/model.onnx").run(["logits"], {"pixels": pixels})
    assert np.mean(logits.argmax(axis=1) == labels) > 0.9
