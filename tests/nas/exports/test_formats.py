"""Export formats: each file against the network, checks of spoiled files, and a format from outside the project."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nas.exports.bundle import write_bundle
from nas.exports.format import FORMATS, ExportError, choose_formats, load_format
from nas.exports.isolation import relative_difference, run_isolated
from nas.exports.subject import Subject
from search_space.architecture import Architecture
from search_space.lowering import lower
from search_space.network import build
from search_space.plugins import TRUSTED, PluginError

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
    noise = np.random.default_rng(0).integers(0, 256, (900, 3, 9, 7), dtype=np.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    with torch.inference_mode():
        logits = network((torch.from_numpy(noise) / 255 - mean) / std)
    best, second = logits.topk(2).values.T
    clear = (best - second).topk(90).indices  # as those of a trained network: no rounding to 8 bits changes the class
    pixels, logits = noise[clear.numpy()], logits[clear]
    rule = {"mean": MEAN, "std": STD, "classes": ["a", "b", "c", "d"]}
    labels = logits.argmax(dim=1).numpy()
    return Subject(
        ARCHITECTURE, graph, network, rule, pixels, labels, logits.numpy(), calibration=pixels[:64], circumstances={}
    )


ALL = FORMATS.names()
EXACT = sorted(set(ALL) - {"int8", "sparse"})
TEXTS = {"card", "hub"}
"""Formats that are read and not run."""
OURS = [name for name in ALL if load_format(name).unavailable() is None]


@pytest.fixture
def bundle(subject: Subject, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the files of some formats, unchecked."""

    def write(*names: str) -> Path:
        (tmp_path / "preprocessing.json").write_text(json.dumps(subject.preprocessing))
        for form in choose_formats(names)[0]:
            form.write(subject, tmp_path)
        return tmp_path

    return write


@pytest.mark.parametrize("name", EXACT)
def test_a_format_gives_what_the_network_gives(subject: Subject, bundle: Callable[..., Path], name: str) -> None:
    if reason := load_format(name).unavailable():
        pytest.skip(reason)
    check = load_format(name).check(subject, bundle(name))
    assert 0 <= check["max_difference"] <= 1e-6
    assert check.get("argmax_agreement", 1.0) == 1.0
    assert name in TEXTS or check["versions"]["python"]


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
        ("safetensors", spoil_weights),
        ("source", spoil_weights),
        ("source", spoil_preprocessing),
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
    return np.array([name for name in sys.path if (Path(name) / "nas" / "__init__.py").exists()]), {}


def test_nothing_of_the_callers_surroundings_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    assert run_isolated("it", outputs, tmp_path, np.zeros((1, 1, 1, 1), np.uint8)).outputs.ndim == 1


def test_what_a_check_writes_goes_with_the_folder_of_a_killed_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, places = subprocess.run, []
    noting = lambda *words, **settings: places.append(Path(settings["cwd"]).parent) or run(*words, **settings)  # noqa: E731
    monkeypatch.setattr("nas.exports.isolation.subprocess.run", noting)
    run_isolated("it", outputs, tmp_path, np.zeros((1, 1, 1, 1), np.uint8))
    assert places == [tmp_path.resolve()]
    assert list(tmp_path.iterdir()) == []


class Off:
    """Format whose outputs are a little off, or NaN."""

    needs = ()

    def __init__(self, by: float, file: str = "off.txt") -> None:
        self.by, self.file = by, file

    def unavailable(self) -> str | None:
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        (folder / self.file).write_text("off")

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        return {"max_difference": relative_difference(subject.logits + self.by, subject.logits)}


@pytest.mark.parametrize("by", [1e-3, float("nan")])
def test_a_form_that_differs_is_named_and_nothing_is_written(subject: Subject, tmp_path: Path, by: float) -> None:
    output = tmp_path / "bundle"
    output.mkdir()
    (output / "checks.json").write_text("{}")
    with pytest.raises(ExportError, match=r"off\.txt differs by .*; nothing was written"):
        write_bundle(subject, output, [Off(by)], {})
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (output / "checks.json").read_text() == "{}"


def test_a_network_whose_own_roundings_are_larger_may_differ_by_some_of_them(subject: Subject, tmp_path: Path) -> None:
    assert 0 < subject.rounding < 2e-6
    rounded = replace(subject, logits=(subject.logits + np.float32(1e-5)).astype(np.float32))
    assert rounded.rounding == pytest.approx(1e-5 / max(1.0, float(np.abs(subject.logits).max())), rel=0.2)
    write_bundle(rounded, tmp_path / "rounded", [Off(3e-5)], {})
    with pytest.raises(ExportError, match="within"):
        write_bundle(rounded, tmp_path / "far", [Off(8e-5)], {})
    with pytest.raises(ExportError, match="within 1e-05"):
        write_bundle(subject, tmp_path / "exact", [Off(3e-5)], {})


def test_all_forms_in_a_folder_are_of_one_network(subject: Subject, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    output.mkdir()
    for name in ("model.onnx", "model.py", "notes.txt"):
        (output / name).write_text("old")
    document = write_bundle(subject, output, [load_format("safetensors")], {"trial": 3})
    assert {path.name for path in output.iterdir()} == {
        "architecture.json", "preprocessing.json", "weights.safetensors", "checks.json", "notes.txt",
    }  # fmt: skip
    assert json.loads((output / "checks.json").read_text()) == document
    assert document["trial"] == 3
    assert Architecture.from_json(json.loads((output / "architecture.json").read_text())).classes == 4


class Kill(BaseException):
    """End of a process at a moment of no one's choosing."""


@pytest.mark.parametrize("moment", range(14))
def test_files_of_two_exports_never_stand_side_by_side(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    output, victim = tmp_path / "bundle", tmp_path / "victim"
    victim.write_text("mine")
    write_bundle(subject, output, [Off(0.0), Off(0.0, "old.txt")], {})
    for name in ("preprocessing.json", "model.onnx"):
        (output / name).unlink(missing_ok=True)
        (output / name).symlink_to(victim)
    old = {path.name: path.lstat().st_ino for path in output.iterdir()}
    left = moment

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def change(path: Path, *more: Any, **words: Any) -> Any:
            nonlocal left
            if path.is_relative_to(output) or (more and Path(more[0]).is_relative_to(output)):
                left -= 1
                if left < 0:
                    raise Kill
            return call(path, *more, **words)

        return change

    with monkeypatch.context() as patch, contextlib.suppress(Kill):
        for name in ("unlink", "replace"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        write_bundle(subject, output, [Off(0.0)], {"second": True})
    found = {path.name for path in output.iterdir()}
    kept = {name for name in found if (output / name).lstat().st_ino == old.get(name)}
    assert kept in (set(), found)
    whole = {"architecture.json", "preprocessing.json", "off.txt", "checks.json"}
    assert "checks.json" not in found or kept == set(old) or found == whole  # it goes first and comes last
    assert victim.read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_leaves_the_earlier_export_whole(subject: Subject, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    write_bundle(subject, output, [Off(0.0)], {"first": True})
    (output / "new.txt").mkdir()
    with pytest.raises(ExportError, match=r"must not be in the place of a folder, .*new\.txt is one"):
        write_bundle(subject, output, [Off(0.0, "new.txt")], {})
    assert json.loads((output / "checks.json").read_text())["first"]
    assert (output / "off.txt").exists()


@pytest.mark.slow
def test_files_have_the_mode_that_the_umask_leaves(subject: Subject, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bundle(subject, tmp_path / "bundle", choose_formats(())[0], {}, required=False)
    finally:
        os.umask(before)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "bundle").iterdir()} == dict.fromkeys(
        (path.name for path in (tmp_path / "bundle").iterdir()), oct(0o640)
    )
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("gone", ["onnx", "source", "safetensors"])
def test_deleting_a_format_is_deleting_its_file(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = pkgutil.iter_modules
    kept = lambda path: [module for module in modules(path) if module.name != gone]  # noqa: E731
    monkeypatch.setattr("search_space.plugins.pkgutil.iter_modules", kept)
    assert FORMATS.names() == sorted(set(ALL) - {gone})
    with pytest.raises(PluginError, match=f"formats must be one of .*, got '{gone}'"):
        load_format(gone)
    needs = {name for name in ALL if name != gone and gone in load_format(name).needs}
    files = {form.file for form in choose_formats(())[0]}
    assert files == {load_format(name).file for name in set(OURS) - needs - {gone, "sparse"}}


TOY = '''
"""Export format that stores the logits of the check images, and toy formats that are wrong."""

import numpy as np


class Logits:
    file = "logits.npy"
    needs = ("source",)

    def __init__(self, **changes):
        vars(self).update(changes)

    def unavailable(self):
        return None

    def write(self, subject, folder):
        assert (folder / "model.py").exists()
        np.save(folder / self.file, subject.logits)

    def check(self, subject, folder):
        return {"max_difference": float(np.abs(np.load(folder / self.file) - subject.logits).max())}


FORMAT = Logits()
OUTSIDE = Logits(file="../logits.npy")
CHECKS = Logits(file="checks.json")
SAME = Logits(file="model.onnx", needs=("onnx",))
NOTHING = object()
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write an importable module with export formats and return its name."""
    monkeypatch.setenv(TRUSTED, "")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "toy_format.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.delitem(sys.modules, "toy_format", raising=False)
    return "toy_format"


def test_a_format_from_outside_is_written_after_what_it_needs_and_removed_later(
    subject: Subject, toy: str, tmp_path: Path
) -> None:
    output = tmp_path / "bundle"
    formats, left_out = choose_formats([f"{toy}.FORMAT"])
    assert [form.file for form in formats] == ["weights.safetensors", "model.py", "logits.npy"]
    assert left_out == []
    document = write_bundle(subject, output, formats, {})
    assert document["checks"]["logits.npy"] == {"max_difference": 0.0, "bytes": 128 + 90 * 4 * 4}
    assert np.array_equal(np.load(output / "logits.npy"), subject.logits)
    write_bundle(subject, output, choose_formats(["safetensors"])[0], {})
    assert not (output / "logits.npy").exists()


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("NOTHING", "formats must name objects that keep the protocol of .*, got toy_format.NOTHING"),
        ("MISSING", "formats must name something in its module, toy_format has no 'MISSING'"),
        ("OUTSIDE", r"a format must write a file of its own in the bundle, .* writes '\.\./logits\.npy'"),
        ("CHECKS", r"a format must write a file of its own in the bundle, .* writes 'checks\.json'"),
        ("SAME", r"formats must write files of different names, got model\.onnx, model\.onnx"),
    ],
)
def test_an_object_that_is_no_format_is_refused(toy: str, name: str, law: str) -> None:
    with pytest.raises((PluginError, ExportError), match=law):
        choose_formats([f"{toy}.{name}"])


def test_names_in_the_checks_of_another_program_delete_nothing_outside(subject: Subject, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    output.mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    checks = {
        "checks": {"../mine.txt": {}, str(tmp_path / "mine.txt"): {}, "..": {}, "": {}, "old.bin": {}, "folder": {}}
    }
    (output / "checks.json").write_text(json.dumps(checks))
    (output / "old.bin").write_text("old")
    (output / "folder").mkdir()
    write_bundle(subject, output, choose_formats(["safetensors"])[0], {})
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (output / "old.bin").exists()


def test_what_a_format_needs_comes_before_it() -> None:
    assert [form.file for form in choose_formats(["onnx", "source"])[0]] == [
        "model.onnx",
        "weights.safetensors",
        "model.py",
    ]


def test_a_file_of_8_bits_keeps_the_classes_and_is_smaller(subject: Subject, bundle: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    folder = bundle("int8")
    check = load_format("int8").check(subject, folder)
    assert check["argmax_agreement"] >= check["min_agreement"] == 0.98
    assert 1e-5 < check["max_difference"] < 0.1  # approximate, and not the float file under another name
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert b"network.body" not in (folder / "model.int8.onnx").read_bytes()


@pytest.mark.few(2)
@pytest.mark.parametrize(("agreements", "bits"), [((0.985, 1.0), 7), ((0.97, 0.99), 8), ((0.97, 0.96), 7)])
def test_all_8_bits_are_taken_only_where_7_are_too_few_and_8_keep_more_classes(
    subject: Subject,
    bundle: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    agreements: tuple[float, float],
    bits: int,
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    ahead = iter(agreements)
    monkeypatch.setattr("nas.exports.int8.compare_logits", lambda *_: {"argmax_agreement": next(ahead)})
    folder = shutil.copytree(bundle("int8"), tmp_path / "bundle")
    narrow = (folder / "model.int8.onnx").read_bytes()
    check = load_format("int8").check(subject, folder)
    assert check["weight_bits"] == bits
    assert check["argmax_agreement"] == (agreements[1] if bits == 8 else agreements[0])
    assert largest_weight(narrow) <= 64
    assert largest_weight((folder / "model.int8.onnx").read_bytes()) == (127 if bits == 8 else largest_weight(narrow))


def largest_weight(content: bytes) -> int:
    onnx = importlib.import_module("onnx")
    tensors = onnx.load_from_string(content).graph.initializer
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in tensors]
    return max(
        int(np.abs(weight.astype(int)).max()) for weight in weights if weight.dtype == np.int8 and weight.ndim > 1
    )


@pytest.mark.slow
def test_an_approximate_file_that_fails_is_not_left_behind(subject: Subject, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    subject = replace(subject, calibration=np.zeros((4, 3, 9, 7), np.uint8))  # cuts the activations of other images off
    formats = choose_formats(["safetensors", "int8"])[0]
    with pytest.raises(
        ExportError, match=r"for 98% of the images; model\.int8\.onnx agrees on .*; nothing was written"
    ):
        write_bundle(subject, tmp_path / "strict", formats, {})
    assert not (tmp_path / "strict").exists()
    document = write_bundle(subject, tmp_path / "lax", formats, {}, required=False)
    assert set(document["checks"]) == {"weights.safetensors", "model.onnx"}
    assert "agrees on" in document["left_out"]["model.int8.onnx"]
    assert not (tmp_path / "lax" / "model.int8.onnx").exists()


@pytest.mark.parametrize("name", sorted({"onnx", "torch_export", "int8"} & set(OURS)))
def test_a_file_tells_its_classes_and_no_place_of_this_machine(
    subject: Subject, bundle: Callable[..., Path], name: str
) -> None:
    content = (bundle(name) / load_format(name).file).read_bytes()
    assert b'["a", "b", "c", "d"]' in content
    for place in (str(Path(__file__).parents[3]), "site-packages"):
        assert place.encode() not in content


def test_a_torch_program_holds_no_pickle(bundle: Callable[..., Path]) -> None:
    with zipfile.ZipFile(bundle("torch_export") / "model.pt2") as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    assert len(contents) > 10
    assert not [content for content in contents if content[:2] in {b"\x80\x02", b"PK"}]
