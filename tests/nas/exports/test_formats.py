"""Every form of a bundle, and that each one's check notices what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nas.exports import FORMATS, ExportError, Subject, chosen, load_format
from nas.exports.bundle import write_bundle
from nas.exports.outside import difference, run_outside
from search_space.architecture import Architecture
from search_space.lowering import lower
from search_space.network import build

ARCHITECTURE = {
    "input": [3, 9, 7],
    "classes": 4,
    "stem": {"width": 6, "kernel": 3, "stride": 1},
    "stages": [
        {
            "blocks": [
                {
                    "family": "inception",
                    "branches": [
                        {"name": "k1", "width": 4},
                        {"name": "k5", "width": 4, "reduction": 0.5, "factorization": "separable"},
                        {"name": "pool", "width": 4, "pool": "avg"},
                    ],
                }
            ]
        }
    ],
}
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def subject() -> Subject:
    graph = lower(Architecture.from_json(ARCHITECTURE))
    torch.manual_seed(0)
    network = build(graph)
    network(torch.randn(64, 3, 9, 7))  # moves the running statistics away from where they start
    network.eval()
    pixels = np.random.default_rng(0).integers(0, 256, (11, 3, 9, 7), dtype=np.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    with torch.inference_mode():
        logits = network((torch.from_numpy(pixels) / 255 - mean) / std)
    rule = {"mean": MEAN, "std": STD, "classes": ["a", "b", "c", "d"]}
    return Subject(ARCHITECTURE, graph, network, rule, pixels, logits.numpy())


@pytest.fixture
def bundle(subject: Subject, tmp_path: Path) -> Callable[..., Path]:
    """Writes the files of some formats, unchecked."""

    def write(*names: str) -> Path:
        (tmp_path / "preprocessing.json").write_text(json.dumps(subject.preprocessing))
        for form in chosen(names)[0]:
            form.write(subject, tmp_path)
        return tmp_path

    return write


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_gives_what_the_network_gives(subject: Subject, bundle: Callable[..., Path], name: str) -> None:
    check = load_format(name).check(subject, bundle(name))
    assert 0 <= check["max_difference"] <= 1e-6
    assert check.get("argmax_agreement", 1.0) == 1.0
    assert check["versions"]["python"]


def spoil_weights(folder: Path) -> None:
    tensors = load_file(folder / "weights.safetensors")
    name = next(name for name in sorted(tensors) if name.endswith("weight"))
    tensors[name] = tensors[name] + 1e-3
    save_file(tensors, folder / "weights.safetensors")


def spoil_preprocessing(folder: Path) -> None:
    rule = json.loads((folder / "preprocessing.json").read_text())
    (folder / "preprocessing.json").write_text(json.dumps(rule | {"mean": [0.5, 0.4, 0.31]}))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("weights", spoil_weights),
        ("source", spoil_weights),
        ("source", spoil_preprocessing),
        ("onnx", spoil_preprocessing),
    ],
)
def test_a_check_notices_what_is_wrong(
    subject: Subject, bundle: Callable[..., Path], name: str, spoil: Callable[[Path], None]
) -> None:
    folder = bundle(name)
    spoil(folder)
    assert load_format(name).check(subject, folder)["max_difference"] > 1e-4


@pytest.mark.parametrize("module", ["nas.data", "search_space.graph"])
def test_a_form_that_needs_this_project_fails(subject: Subject, bundle: Any, module: str) -> None:
    folder = bundle("source")
    with (folder / "model.py").open("a") as file:
        file.write(f"\nimport {module}\n")
    with pytest.raises(ExportError, match=f"model.py must run on its own, it does not: .* {module[:3]}"):
        load_format("source").check(subject, folder)


def outputs(folder: Path, pixels: Any) -> tuple[Any, dict[str, str]]:
    import sys  # noqa: PLC0415 - this function's text runs elsewhere

    return np.array([name for name in sys.path if (Path(name) / "nas" / "__init__.py").exists()]), {}


def test_nothing_of_the_callers_surroundings_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    assert run_outside("it", outputs, tmp_path, np.zeros((1, 1, 1, 1), np.uint8)).outputs.ndim == 1


class Off:
    """A format whose outputs are a little off, or no numbers."""

    file = "off.txt"
    needs = ()

    def __init__(self, by: float) -> None:
        self.by = by

    def unavailable(self) -> str | None:
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        (folder / self.file).write_text("off")

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        return {"max_difference": difference(subject.logits + self.by, subject.logits)}


@pytest.mark.parametrize("by", [1e-3, float("nan")])
def test_a_form_that_differs_is_named_and_nothing_is_handed_over(subject: Subject, tmp_path: Path, by: float) -> None:
    output = tmp_path / "bundle"
    output.mkdir()
    (output / "checks.json").write_text("{}")
    with pytest.raises(ExportError, match=r"off\.txt differs by .*; nothing was handed over"):
        write_bundle(subject, output, [Off(by)], {})
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (output / "checks.json").read_text() == "{}"


def test_all_forms_in_a_folder_are_of_one_network(subject: Subject, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    output.mkdir()
    for name in ("model.onnx", "model.py", "notes.txt"):
        (output / name).write_text("old")
    document = write_bundle(subject, output, [load_format("weights")], {"trial": 3})
    assert {path.name for path in output.iterdir()} == {
        "architecture.json", "preprocessing.json", "weights.safetensors", "checks.json", "notes.txt",
    }  # fmt: skip
    assert json.loads((output / "checks.json").read_text()) == document
    assert document["trial"] == 3
    assert Architecture.from_json(json.loads((output / "architecture.json").read_text())).classes == 4


def test_deleting_a_format_is_deleting_its_file_and_its_name(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    for gone in FORMATS:
        left = tuple(name for name in FORMATS if name != gone)
        monkeypatch.setattr("nas.exports.FORMATS", left)
        with pytest.raises(ExportError, match=f"got '{gone}'"):
            load_format(gone)
        if gone != "weights":  # the source is of no use without them, and says so by the same line
            assert [form.file for form in chosen(())[0]] == [load_format(name).file for name in left]


def test_what_a_format_needs_comes_before_it() -> None:
    assert [form.file for form in chosen(["onnx", "source"])[0]] == ["model.onnx", "weights.safetensors", "model.py"]
