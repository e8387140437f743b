"""Search, retraining and export on real trainings, to files that need nothing of this program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from nas.data import DataSpec, load, load_test
from nas.exports.isolation import IMPORT_BLOCKER
from nas.exports.subject import preprocessing
from nas.exports.trained_weights import choose_checkpoint
from nas.objectives.limits import Limits
from nas.study.selection import pick_records
from nas.study.summary import open_for_reading

ALONE = IMPORT_BLOCKER + "import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def classify(bundle: Path, *images: Path) -> list[tuple[str, float]]:
    """Return the first class of each image by `python model.py image.png ...`, which can't import this project."""
    command = [sys.executable, "-I", "-B", "-c", ALONE, str(bundle / "model.py"), *map(str, images)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=bundle, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    first = lines if len(images) == 1 else [lines[lines.index(str(image)) + 1] for image in images]
    pairs = [line.split(maxsplit=1) for line in first[: len(images)]]
    return [(name, float(share.rstrip("%")) / 100) for share, name in pairs]


def save(pixels: np.ndarray[Any, Any], path: Path) -> Path:
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(path)
    return path


def assert_files_agree(study: Path, bundle: Path, spec: DataSpec, scratch: Path) -> None:
    """`model.py` on PNG files, `model.onnx` on arrays and the torch module give one answer for test images."""
    import onnxruntime  # noqa: PLC0415 - an extra

    reader = open_for_reading(study)
    trial = json.loads((bundle / "checks.json").read_text())["trial"]
    (record,) = pick_records(reader.records, reader.study.axes, str(trial), Limits())
    network = choose_checkpoint(reader.study, record).trained.network
    data, test = load(spec), load_test(spec)
    rule = json.loads((bundle / "preprocessing.json").read_text())
    assert rule == preprocessing(data)
    mean, std = (torch.tensor(rule[key])[:, None, None] for key in ("mean", "std"))
    inputs = (test.images[:9] / 255 - mean) / std
    with torch.inference_mode():
        logits = network(inputs)
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    for part in (slice(0, 1), slice(0, 9)):
        (found,) = session.run(None, {"pixels": test.images[part].numpy()})
        np.testing.assert_allclose(found, logits[part].numpy(), rtol=0, atol=1e-5)
    paths = [save(image.numpy(), scratch / f"{row}.png") for row, image in enumerate(test.images[:9])]
    probabilities, classes = logits.softmax(1).max(1)
    expected = [
        (data.classes[label], pytest.approx(p, abs=6e-5))
        for label, p in zip(classes, probabilities.tolist(), strict=True)
    ]
    assert classify(bundle, *paths) == expected


def test_search_retrain_export_and_use_on_digits(nas: Any, tmp_path: Path) -> None:
    retrained = nas.json("retrain", "seeds=2")
    (network,) = retrained["networks"]
    assert [seed["seed"] for seed in network["seeds"]] == [0, 1]
    assert {seed["test_images"] for seed in network["seeds"]} == {359}
    accuracies = [seed["test_accuracy"] for seed in network["seeds"]]
    assert network["test_accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    assert network["test_accuracy"]["n"] == 2
    stored = json.loads((nas.study / "retrain" / str(network["trial"]) / "result.json").read_text())
    assert {**stored, "study": 0, "environment": 0} == {**network, "study": 0, "environment": 0}
    exported = nas.json("export", f"output={tmp_path / 'bundle'}")
    (bundle,) = exported["exported"]
    assert bundle["trial"] == network["trial"]
    files = {"architecture.json", "weights.safetensors", "model.py", "model.onnx", "preprocessing.json", "checks.json"}
    assert set(bundle["files"]) >= files | {"model.pt2"}
    best = max(network["seeds"], key=lambda seed: (seed["val_accuracy"], -seed["seed"]))
    assert bundle["weights"]["from"] == "retrain"
    assert {key: bundle["weights"][key] for key in ("seed", "val_accuracy", "test_accuracy")} == {
        key: best[key] for key in ("seed", "val_accuracy", "test_accuracy")
    }
    exact = [check for name, check in bundle["checks"].items() if name != "model.int8.onnx"]
    assert all(check["max_difference"] <= 1e-5 for check in exact)
    assert all(check["bytes"] > 0 for check in bundle["checks"].values())
    assert bundle["checks"]["weights.safetensors"]["max_difference"] == 0
    assert_files_agree(nas.study, tmp_path / "bundle", DataSpec(crop_padding=1), tmp_path)


def test_the_same_command_again_measures_nothing_again(nas: Any) -> None:
    first = nas.json("retrain", "seeds=1", "pick=1")
    result = nas.study / "retrain" / "1" / "seed0" / "result.json"
    result.write_text(result.read_text().replace('"test_images": 359', '"test_images": 1'))
    again = nas.json("retrain", "seeds=2", "pick=1")
    (seed0, seed1) = again["networks"][0]["seeds"]
    assert seed0 == {**first["networks"][0]["seeds"][0], "test_images": 1}
    assert seed1["test_images"] == 359


@pytest.mark.slow
def test_the_recipe_is_the_studys_unless_said_otherwise(nas: Any) -> None:
    document = nas.json("retrain", "seeds=1", "training=long", "training.epochs=1", "pick=0", "data.train_fraction=0.5")
    training = document["training"]
    assert (training["epochs"], training["ema_decay"], training["schedule"]) == (1, 0.995, "cosine")
    (network,) = document["networks"]
    assert (network["seeds"][0]["weights"], network["data"]["train_fraction"]) == ("average", 0.5)
    code, _, err = nas("retrain", "seeds=1", "pick=0")
    assert code == 2
    assert "training.epochs is 1 there and 2 here" in err
    assert "replace=true" in err
    replaced = nas.json("retrain", "seeds=1", "pick=0", "replace=true")
    assert (replaced["training"]["epochs"], replaced["training"]["learning_rate"]) == (2, 0.3)
    assert replaced["networks"][0]["seeds"][0]["weights"] == "network"


@pytest.mark.slow
def test_averaged_weights_and_another_share_reach_the_bundle(nas: Any) -> None:
    nas.json("retrain", "seeds=1", "pick=0", "training.ema_decay=0.9", "training.epochs=1", "data.train_fraction=0.5")
    (bundle,) = nas.json("export", "pick=0", "formats=[source]", "weights=retrain")["exported"]
    assert bundle["weights"]["weights"] == "average"
    assert set(bundle["checks"]) == {"weights.safetensors", "model.py"}
    rule = json.loads((Path(bundle["output"]) / "preprocessing.json").read_text())
    assert rule == preprocessing(load(DataSpec(train_fraction=0.5)))
    assert rule["mean"] != preprocessing(load(DataSpec()))["mean"]


def test_worse_weights_are_never_exported_without_a_word(nas: Any) -> None:
    code, _, err = nas("retrain", "seeds=2", "pick=0", "training.epochs=1", "training.learning_rate=1e-6")
    assert code == 0
    assert "retraining made it worse" in err
    assert "nas export takes the weights of the search" in " ".join(err.split())
    form = ("pick=0", "formats=[safetensors]", "format=json")
    code, out, err = nas("export", *form)
    (bundle,) = json.loads(out)["exported"]
    assert (code, bundle["weights"]["from"]) == (0, "search")
    assert "weights of the search" in err
    assert "worse" not in err
    code, out, err = nas("export", *form, "weights=1")
    (bundle,) = json.loads(out)["exported"]
    assert (code, bundle["weights"]["from"], bundle["weights"]["seed"]) == (0, "retrain", 1)
    assert "these are worse by more than the 95 % interval: weights=best takes the better ones" in " ".join(err.split())
    code, _, err = nas("export", *form, "weights=2")
    assert code == 2
    assert "weights must be best, search, retrain or a retrained seed of trial 0 (0, 1), got 2" in " ".join(err.split())


@pytest.mark.slow
def test_weights_that_are_about_as_good_are_those_of_the_retraining(nas: Any) -> None:
    nas.json("retrain", "seeds=1", "pick=0")
    seed = nas.study / "retrain" / "0" / "seed0" / "result.json"
    result = json.loads(seed.read_text())
    (searched,) = nas.json("export", "pick=0", "formats=[safetensors]", "weights=search")["exported"]
    for below, origin in ((0.002, "retrain"), (0.3, "search")):
        seed.write_text(json.dumps(result | {"val_accuracy": max(0.0, searched["weights"]["val_accuracy"] - below)}))
        (bundle,) = nas.json("export", "pick=0", "formats=[safetensors]")["exported"]
        assert bundle["weights"]["from"] == origin


@pytest.mark.slow
def test_a_killed_retraining_goes_on_from_its_checkpoints(nas: Any, searched: Path) -> None:
    words = ["retrain", f"study={nas.study}", "pick=0", "seeds=1", "training.epochs=20", "format=json"]
    program = f"import sys; from nas.cli import main; sys.exit(main({words!r}))"
    folder = nas.study / "retrain" / "0" / "seed0"
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        driver = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = {path.name for path in folder.glob("attempt*.pt")}
        until = time.monotonic() + 120
        while {path.name for path in folder.glob("attempt*.pt")} == before and time.monotonic() < until:
            time.sleep(0.01)
        driver.send_signal(end)
        assert driver.wait(60) == code
    assert not (folder / "result.json").exists()
    (network,) = nas.json(words[0], *words[2:-1])["networks"]
    other = nas.study.parent / "unbroken"
    shutil.copytree(searched, other)
    nas.study = other
    (unbroken,) = nas.json(words[0], *words[2:-1])["networks"]
    untimed = {"seconds": 0, "checkpoint": ""}
    assert {**network["seeds"][0], **untimed} == {**unbroken["seeds"][0], **untimed}


TAPPED = """
name: tapped
stem: {width: 8}
stages:
  - depth: 1
    block: {family: v4a, reduce: 4, out: 4}
    auxiliary: v3
"""


@pytest.mark.slow
def test_no_auxiliary_classifier_is_shipped(tmp_path: Path, commands: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    space = tmp_path / "conf" / "space" / "tapped.yaml"
    space.parent.mkdir(parents=True)
    space.write_text(TAPPED)
    nas = commands(tmp_path / "study")
    small = ["space=tapped", "budget.trials=1", "training.epochs=1", "workers.slots=1", "tracking=none"]
    assert nas("search", "--config-dir", str(tmp_path / "conf"), *small)[0] == 0
    (bundle,) = nas.json("export", "pick=0", "formats=[source,torch_export]")["exported"]
    folder = Path(bundle["output"])
    names = [*load_file(folder / "weights.safetensors"), *torch.export.load(folder / "model.pt2").state_dict]
    assert [name for name in names if "aux" in name] == []
    assert "Tap" not in (folder / "model.py").read_text()
    assert "auxiliary" not in (folder / "architecture.json").read_text()
    assert all(check["max_difference"] <= 1e-5 for check in bundle["checks"].values())
    (record,) = open_for_reading(nas.study).records
    trained = choose_checkpoint(open_for_reading(nas.study).study, record).trained.network
    assert [name for name in trained.state_dict() if "aux" in name]  # it was trained with one
