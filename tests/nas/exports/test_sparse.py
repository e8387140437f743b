"""Sparse weights and smaller networks: their files, read without this project, and the training after the removal."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from nas.config.data import DataSpec
from nas.config.pruning import PruningSpec
from nas.exports.evaluation import evaluate, open_predictor
from nas.exports.format import ExportError, choose_formats
from nas.exports.sparse.csr import from_csr, to_csr
from nas.exports.sparse.pruner import Pruner
from nas.training.restore import TrainedNetwork
from search_space.cost import cost
from search_space.documents import graph_of
from search_space.network import build
from search_space.pruned_weights import zero_share

PAGE = Path(__file__).parents[3] / "docs" / "sparse.md"
QUICK = ("formats=[sparse]", "pick=0")


def exported(nas: Any, *words: str) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the bundle, and its checks by file."""
    document = nas.json("export", *QUICK, *words)
    return Path(document["exported"][0]["output"]), document["exported"][0]["checks"]


def read_as_documented(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the matrices of a file and its other tensors, by the lines of the page."""
    (text,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(text, names)
    return names["matrices"], {**names["tensors"], "shapes": names["shapes"]}


def test_sparse_weights_are_checked_and_smaller(nas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, checks = exported(nas, "sparse.epochs=2", "sparse.sparsity=0.7")
    check = checks["weights.sparse.safetensors"]
    assert check["max_difference"] < 1e-5
    assert check["pruning"]["sparsity"] == pytest.approx(0.7, abs=1e-3)
    assert check["pruning"]["val_images"] == 287
    assert check["bytes"] < 0.75 * check["pruning"]["dense_bytes"]
    assert (folder / "weights.sparse.safetensors").stat().st_mode & 0o777 == (
        folder / "model.py"
    ).stat().st_mode & 0o777
    matrices, tensors = read_as_documented(folder, monkeypatch)
    shapes = tensors.pop("shapes")
    assert 1 - sum(one.nnz for one in matrices.values()) / sum(math.prod(shape) for shape in shapes.values()) > 0.65
    dense = {name: matrix.toarray().reshape(shapes[name]) for name, matrix in matrices.items()}
    network = load_module(folder / "model.py").Network()
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in {**tensors, **dense}.items()})
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8)).astype(np.uint8)
    rule = json.loads((folder / "preprocessing.json").read_text())
    images = (torch.from_numpy(pixels).float() / 255 - rule["mean"][0]) / rule["std"][0]
    with torch.no_grad():
        expected = network.eval()(images).numpy()
    found = open_predictor(folder / "weights.sparse.safetensors").predict(pixels)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def load_module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_matrix_is_converted_to_every_form_by_the_library(nas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = exported(nas, "sparse.epochs=0", "sparse.sparsity=0.6")
    matrices, _ = read_as_documented(folder, monkeypatch)
    matrix = max(matrices.values(), key=lambda each: each.nnz)
    for other in (matrix.todok(), matrix.tolil(), matrix.tocoo(), matrix.tobsr(), matrix.tocsc()):
        assert other.nnz == matrix.nnz
        assert (abs(other.tocsr() - matrix)).nnz == 0
    rows, columns, values = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        twin = torch.sparse_csr_tensor(rows, columns, values, matrix.shape, check_invariants=True)
    assert torch.equal(twin.to_sparse_coo().to_dense(), torch.from_numpy(matrix.toarray()))


@pytest.mark.slow
def test_a_smaller_network_has_a_bundle_of_its_own(nas: Any) -> None:
    dense, _ = exported(nas, "formats=[safetensors]")
    folder, checks = exported(nas, "sparse.structure=channels", "sparse.sparsity=0.4", "sparse.epochs=1")
    assert folder.name == "0-pruned"
    assert sorted(checks) == ["model.py", "weights.safetensors"]
    documents = [json.loads((each / "architecture.json").read_text()) for each in (dense, folder)]
    assert documents[1]["pruned"] == documents[0]
    before, after = (cost(graph_of(document)) for document in documents)
    assert after.params <= 0.6 * before.params
    found = json.loads((folder / "checks.json").read_text())
    assert found["costs"]["params"] == after.params
    assert found["weights"]["from"] == "pruning"
    assert found["pruned"]["dense_val_accuracy"] == pytest.approx(found["weights"]["of"]["val_accuracy"])
    scores = evaluate(open_predictor(folder), DataSpec(), "validation")
    assert scores["accuracy"] == pytest.approx(found["weights"]["val_accuracy"])
    state = load_file(folder / "weights.safetensors")
    assert sum(tensor.size for name, tensor in state.items() if name.endswith(("weight", "bias"))) == after.params


@pytest.mark.slow
def test_a_loss_of_accuracy_chooses_the_sparsity(nas: Any) -> None:
    _, checks = exported(nas, "sparse.max_loss=0.5", "sparse.epochs=0")
    found = checks["weights.sparse.safetensors"]["pruning"]
    assert found["dense_val_accuracy"] - found["val_accuracy"] <= 0.5
    assert found["sparsity"] >= 0.29


def test_a_loss_that_no_sparsity_keeps_is_an_error(nas: Any, tmp_path: Path) -> None:
    folder, _ = exported(nas, "formats=[safetensors]")
    document = json.loads((folder / "architecture.json").read_text())
    network = build(graph_of(document)).eval()
    network.load_state_dict(
        {name: torch.from_numpy(one) for name, one in load_file(folder / "weights.safetensors").items()}
    )
    tuned: list[float] = []

    def tune(document: Any, state: Any, classes: tuple[str, ...]) -> Any:
        tuned.append(zero_share(state))
        return {name: torch.zeros_like(tensor) for name, tensor in state.items()}

    pruner = Pruner(PruningSpec(max_loss=0.01, epochs=1), lambda _trial: tune)
    data = DataSpec(cache=str(tmp_path))
    with pytest.raises(
        ExportError, match=r"sparse.max_loss must be kept by a sparsity of 0\.3, .*, none loses at most 0\.01"
    ):
        pruner(0, document, TrainedNetwork(network, averaged=False, curve=()), data)
    assert len(tuned) == 4
    assert tuned == sorted(tuned, reverse=True)


@pytest.mark.slow
def test_two_of_four_says_why_its_speed_is_not_shown(nas: Any) -> None:
    _, checks = exported(nas, "sparse.structure=2:4", "sparse.epochs=1")
    found = checks["weights.sparse.safetensors"]["pruning"]
    assert found["sparsity"] == pytest.approx(0.5, abs=0.06)
    assert "compute capability 8.0" in found["speed"] or "sparse_speed.py" in found["speed"]


@pytest.mark.slow
def test_a_training_after_a_removal_is_not_repeated(nas: Any) -> None:
    exported(nas, "sparse.epochs=1", "output=" + str(nas.study / "a"))
    (training,) = (nas.study / "pruned" / "0").iterdir()
    files = {path.name: path.stat().st_mtime_ns for path in training.glob("*.pt")}
    exported(nas, "sparse.epochs=1", "output=" + str(nas.study / "b"))
    assert {path.name: path.stat().st_mtime_ns for path in training.glob("*.pt")} == files
    exported(nas, "sparse.epochs=1", "sparse.sparsity=0.3", "output=" + str(nas.study / "c"))
    assert len(list((nas.study / "pruned" / "0").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (("sparse.structure=blocks",), "sparse.structure must be one of global, layer, 2:4, channels, branches"),
        (("sparse.sparsity=1.5",), "sparse.sparsity must"),
        (("sparse.sparsity=0.5", "sparse.max_loss=0.01"), "sparse.sparsity follows from sparse.max_loss"),
        (("sparse.structure=2:4", "sparse.sparsity=0.8"), "sparse.sparsity must be 0.5 with sparse.structure=2:4"),
        (("sparse.sparsity=0.9999", "sparse.epochs=0"), "sparsity must leave every filter a weight"),
        (("sparse.structure=channels", "sparse.sparsity=0.999"), "sparsity by channels must leave the"),
    ],
)
def test_a_mistake_is_one_line(nas: Any, words: tuple[str, ...], law: str) -> None:
    code, _, err = nas("export", *QUICK, *words)
    assert code == 2
    assert law in err
    assert "Traceback" not in err


def test_sparse_is_written_only_if_it_is_asked_for() -> None:
    assert "weights.sparse.safetensors" not in {form.file for form in choose_formats(())[0]}
    assert [form.file for form in choose_formats(["sparse"])[0]] == [
        "weights.safetensors",
        "model.py",
        "weights.sparse.safetensors",
    ]


def test_a_network_of_no_study_has_no_sparse_weights(tmp_path: Path) -> None:
    form = choose_formats(["sparse"])[0][-1]

    class Nothing:
        pruned = None

    with pytest.raises(ExportError, match=r"nas export study=S formats=\[sparse\]"):
        form.write(Nothing(), tmp_path)  # type: ignore[arg-type]


def test_matrices_are_read_back_and_damaged_ones_refused() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 4, 3, 3)).astype(np.float32) * (rng.random((8, 4, 3, 3)) < 0.2)
    state = {"a.weight": weight, "b.weight": rng.normal(size=(4, 4)), "c.bias": np.zeros(8)}
    tensors, shapes = to_csr(state)
    assert set(shapes) == {"a.weight"}
    assert tensors["a.weight.col_indices"].dtype == np.int16
    back = from_csr(tensors, shapes)
    assert all(np.array_equal(back[name], state[name]) for name in state)
    tensors["a.weight.col_indices"] = tensors["a.weight.col_indices"] + 100
    with pytest.raises(ValueError, match="ind"):
        from_csr(tensors, shapes)


def test_shares_follow_from_the_structure() -> None:
    assert [PruningSpec(structure=name).share for name in ("global", "layer", "2:4", "channels", "branches")] == [
        *(0.8, 0.8),
        *(0.5, 0.5, 0.5),
    ]
