"""`nas predict` and `nas evaluate`: every format says what the network says, and mistakes are one line."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest

from nas.cli import main
from nas.data import DataSpec, load, load_test
from nas.exports.evaluation import wilson_interval
from nas.exports.format import ExportError
from nas.exports.predictors import open_predictor

pytestmark = pytest.mark.xdist_group("predictors")  # one search for all

FILES = {
    "weights.safetensors": 1e-5, "model.onnx": 1e-5, "model.pt2": 1e-5, "model.xml": 1e-5,
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "best"
    assert main(["export", f"study={searched}", f"output={folder}"]) == 0
    return folder


@pytest.mark.parametrize("file", FILES)
def test_every_file_gives_the_logits_of_the_folder(bundle: Path, file: str) -> None:
    if not (bundle / file).exists():
        pytest.skip(f"{file} was left out: a library that it needs is not installed")
    images = load_test(DataSpec(crop_padding=1)).take(np.arange(40)).images.numpy()
    folder, alone = open_predictor(bundle), open_predictor(bundle / file)
    assert alone.classes == folder.classes == tuple("0123456789")
    assert alone.shape == folder.shape == (1, 8, 8)
    expected = folder.predict(images)
    for part in (images[:1], images[:7], images):
        np.testing.assert_allclose(alone.predict(part), expected[: len(part)], atol=FILES[file], rtol=0)


def test_scores_are_those_of_the_study(bundle: Path, searched: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", f"model={bundle}", "data=digits", "part=validation", "format=json"]
    capfd.readouterr()
    assert main(words) == 0
    found = json.loads(capfd.readouterr().out)
    weights = json.loads((bundle / "checks.json").read_text())["weights"]
    assert found["accuracy"] == pytest.approx(weights["val_accuracy"])
    assert found["balanced_accuracy"] == pytest.approx(weights["val_balanced_accuracy"])
    assert np.sum(found["confusion"]) == found["images"] == len(load(DataSpec()).validation)
    assert np.trace(found["confusion"]) == round(found["accuracy"] * found["images"])
    assert main([*words[:-1], "format=table"]) == 0
    assert "taken for most" in capfd.readouterr().out


def test_the_interval_is_wilsons() -> None:
    expected = binomtest(90, 100).proportion_ci(0.95, method="wilson")
    assert wilson_interval(0.9, 100) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_image_files_are_classified_like_the_arrays(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images = load_test(DataSpec(crop_padding=1)).take(np.arange(5)).images.numpy()
    predictor = open_predictor(bundle)
    names = [predictor.classes[row] for row in predictor.predict(images).argmax(axis=1)]
    (tmp_path / "folder").mkdir()
    for row, image in enumerate(images):
        Image.fromarray(image[0]).save(tmp_path / "folder" / f"{row}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    capfd.readouterr()
    words = ["predict", f"model={bundle}", str(tmp_path / "folder"), str(tmp_path / "broken.png"), "format=json"]
    assert main(words) == 1
    out, err = capfd.readouterr()
    found = json.loads(out)["images"]
    assert [image["classes"][0]["name"] for image in found[:5]] == names
    assert sum(each["probability"] for each in found[0]["classes"]) <= 1
    assert "broken.png" in found[5]["error"]
    assert "broken.png" in err
    assert main([*words[:-1], "topk=1"]) == 1
    assert len(capfd.readouterr().out.splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["predict", "a.png"], "model must name a folder that nas export wrote"),
        (["predict", "model=absent", "a.png"], "model must be a folder of nas export or a file"),
        (["predict", "model=absent.onnx", "a.png"], "there is no absent.onnx"),
        (["predict", "model=BUNDLE"], "images must name image files or folders of them"),
        (["evaluate", "model=BUNDLE", "part=all"], "part must be test, validation or train, got 'all'"),
        (["evaluate", "model=BUNDLE/architecture.json"], "model must be a folder of nas export or a file"),
    ],
)
def test_mistakes_are_one_line(bundle: Path, words: list[str], law: str, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert main([word.replace("BUNDLE", str(bundle)) for word in words]) == 2
    out, err = capfd.readouterr()
    assert law in " ".join(err.split())
    assert out == ""


def test_a_damaged_file_and_one_with_a_pickle_are_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "model.pt2").write_bytes(b"no archive")
    for file in ("model.onnx", "model.pt2"):
        with pytest.raises(ExportError, match="must be a file that nas export wrote"):
            open_predictor(tmp_path / file)
    content = io.BytesIO()
    torch.save({"weights": torch.zeros(1)}, content)
    with zipfile.ZipFile(bundle / "model.pt2") as whole, zipfile.ZipFile(tmp_path / "model.pt2", "w") as spoiled:
        for name in whole.namelist():
            spoiled.writestr(name, content.getvalue() if name.endswith("sample_inputs/model.pt") else whole.read(name))
    with pytest.raises(ExportError, match="must hold no pickle"):
        open_predictor(tmp_path / "model.pt2")
