"""Mistakes in export and retraining end in one line, and hostile files run nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas.study.summary import open_for_reading


class Hostile:
    """Pickle that creates a folder when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def checkpoint_of(study: Path, trial: int) -> Path:
    return study / str(open_for_reading(study).records[trial].training.checkpoint)


def one_line(err: str) -> str:
    lines = err.strip().splitlines()
    assert "Traceback" not in err
    return lines[-1]


@pytest.mark.parametrize("kind", ["archive", "plain"])
def test_a_hostile_checkpoint_runs_nothing_in_export(nas: Any, tmp_path: Path, kind: str) -> None:
    mark, checkpoint = tmp_path / "ran", checkpoint_of(nas.study, 0)
    if kind == "archive":
        torch.save({"format": 1, "network": Hostile(mark)}, checkpoint)
    else:
        checkpoint.write_bytes(pickle.dumps(Hostile(mark)))
    code, out, err = nas("export", "pick=0")
    assert (code, out, mark.exists()) == (2, "", False)
    assert "a checkpoint must" in one_line(err)
    assert "nas retrain study=" in one_line(err)
    pickle.loads(pickle.dumps(Hostile(mark)))  # the mark is one that would show
    assert mark.exists()


def test_a_hostile_checkpoint_runs_nothing_in_retrain(nas: Any, tmp_path: Path) -> None:
    mark, folder = tmp_path / "ran", nas.study / "retrain" / "0" / "seed0"
    folder.mkdir(parents=True)
    torch.save({"format": 1, "network": Hostile(mark)}, folder / "attempt1-epoch002.pt")
    (network,) = nas.json("retrain", "pick=0", "seeds=1", "training.epochs=2")["networks"]
    assert not mark.exists()
    assert (folder / "attempt1-epoch002.unreadable").exists()  # set aside, and trained anew
    assert network["seeds"][0]["epochs"] == 2
    torch.save({"format": 1, "network": Hostile(mark)}, folder / network["seeds"][0]["checkpoint"])
    code, _, err = nas("export", "pick=0")
    assert (code, mark.exists()) == (2, False)
    assert "a checkpoint must hold plain values and tensors alone" in one_line(err)


@pytest.mark.slow
def test_a_missing_checkpoint_says_to_retrain(nas: Any) -> None:
    checkpoint_of(nas.study, 0).unlink()
    code, _, err = nas("export", "pick=0")
    assert code == 2
    assert f"they are gone: nas retrain study={nas.study} pick=0 trains it again" in one_line(err)
    for _ in range(2):
        (network,) = nas.json("retrain", "pick=0", "seeds=1", "training.epochs=1")["networks"]
        (bundle,) = nas.json("export", "pick=0", "formats=[safetensors]")["exported"]
        assert bundle["weights"]["from"] == "retrain"
        (nas.study / bundle["weights"]["checkpoint"]).unlink()
        assert "they are gone: nas retrain" in nas("export", "pick=0")[2]
        assert network["test_accuracy"]["n"] == 1


def test_a_checkpoint_of_another_network_is_refused(nas: Any) -> None:
    shutil.copy(checkpoint_of(nas.study, 1), checkpoint_of(nas.study, 0))
    code, _, err = nas("export", "pick=0")
    assert code == 2
    assert "a checkpoint must be of the requested network" in one_line(err)


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("export", ["pick=9"], "pick must be one of the 3 trials of the study, counted from 0, got 9"),
        ("export", ["pick=worst"], "pick must be best, knee, front or a trial's number, got 'worst'"),
        ("export", ["limits.max_macs=5"], "limits must leave a complete trial to pick, none of 3 meets them"),
        (
            "export",
            ["formats=[safetensors,gif]"],
            (
                "formats must be one of card, hub, int8, litert, onnx, openvino, safetensors, source, sparse, "
                "torch_export, or a dotted path such as my_module.FORMAT, got 'gif'"
            ),
        ),
        ("export", ["images=0"], "images must be at least 1, got 0"),
        ("retrain", ["seeds=0"], "seeds must be at least 1, got 0"),
        ("retrain", ["training.epochs=0"], "training.epochs must be at least 1, got 0"),
        ("retrain", ["training.epochs=many"], "epochs: Value 'many' of type 'str' could not be converted to Integer"),
        ("retrain", ["data.train_fraction=2"], "data.train_fraction must lie in (0, 1], got 2"),
        ("retrain", ["data.path=/nowhere"], "data.path is read by image_folder, parquet, signals and tensors only"),
    ],
)
def test_mistakes_are_one_line(nas: Any, command: str, words: list[str], message: str) -> None:
    code, out, err = nas(command, *words)
    assert (code, out) == (2, "")
    assert message in one_line(err)
    assert not (nas.study / "export").exists()


@pytest.mark.slow
def test_without_the_extra_the_other_forms_are_written(nas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("nas.exports.libraries.find_spec", lambda name: None if name == "onnxscript" else find(name))
    code, _, err = nas("export", "pick=0", "formats=[onnx]")
    assert code == 2
    assert "model.onnx needs onnxscript: pip install 'inception-nas[export]'" in one_line(err)
    code, out, err = nas("export", "pick=0", "format=json")
    assert code == 0
    assert "left out: model.onnx needs onnxscript" in err
    assert "left out: model.int8.onnx: model.onnx needs onnxscript" in err
    assert set(json.loads(out)["exported"][0]["checks"]) == {
        *("README.md", "config.json", "weights.safetensors", "model.py", "model.pt2"),
    }


def paint(root: Path, classes: int = 3, each: int = 40, shade: int = 0) -> Path:
    """Write PNGs of 14×10 into a folder for each class, each class with a bar at a place of its own."""
    random = np.random.default_rng(shade)
    for label in range(classes):
        folder = root / f"class {label}"
        folder.mkdir(parents=True)
        for number in range(each):
            pixels = random.integers(shade, 100, (10, 14, 3), dtype=np.uint8)
            pixels[:, 3 + 4 * label : 5 + 4 * label] += 120
            Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return root


@pytest.mark.slow
def test_an_image_folder_is_searched_retrained_and_exported(
    tmp_path: Path, commands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    nas, images = commands(tmp_path / "study"), paint(tmp_path / "images")
    data = ["data=image_folder", f"data.path={images}", "data.resolution=12"]
    small = ["budget.trials=2", "training.epochs=2", "training.batch_size=16", "workers.slots=1", "tracking=none"]
    assert nas("search", *data, *small)[0] == 0
    (network,) = nas.json("retrain", "seeds=2", "training.epochs=6")["networks"]
    assert network["test_accuracy"]["n"] == 2
    assert network["seeds"][0]["test_images"] == 24
    (bundle,) = nas.json("export")["exported"]
    exact = [check for name, check in bundle["checks"].items() if name != "model.int8.onnx"]
    assert all(check["max_difference"] <= 1e-5 for check in exact)
    rule = json.loads((Path(bundle["output"]) / "preprocessing.json").read_text())
    assert (rule["classes"], rule["height"]) == (["class 0", "class 1", "class 2"], 12)
    # The images elsewhere, and then others: the first is fine, the second is not.
    moved = images.rename(tmp_path / "moved")
    assert nas("export", "formats=[safetensors]")[0] == 2
    assert nas("export", "formats=[safetensors]", f"data.path={moved}")[0] == 0
    code, _, err = nas("export", f"data.path={paint(tmp_path / 'others', shade=9)}")
    assert code == 2
    assert "data must be what study was searched on, it is not at" in one_line(err)
    assert "data.content is" in one_line(err)
