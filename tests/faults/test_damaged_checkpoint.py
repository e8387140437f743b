"""Checkpoints whose checksums are right and whose content is not: one line each, within the memory of their size."""

from __future__ import annotations

import json
import pickle
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.jobs import Epoch
from nas.training.checkpoint import Checkpoint, TrainingState, load, save
from nas.training.checkpoint_file import CheckpointError
from nas.training.restore import restore_network
from search_space.architecture import Architecture, Stage, Stem
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.network import build

ARCHITECTURE = Architecture(Shape(1, 8, 8), 3, Stem(4), (Stage(()),))
DOCUMENT = ARCHITECTURE.to_json()
IDENTITY = {"architecture": json.dumps(DOCUMENT, sort_keys=True)}
ROW = Epoch(1, 0.5, 0.6, 0.7, 0.65, 1.5).to_json()
SPARSE = torch.eye(3).to_sparse()


def content() -> dict[str, Any]:
    """Content of a good checkpoint, to be spoilt."""
    return {
        "format": 1,
        "identity": dict(IDENTITY),
        "network": dict(build(lower(ARCHITECTURE)).state_dict()),
        "optimizer": {0: {"step": torch.tensor(3.0)}},
        "average": None,
        "precision": {},
        "curve": [dict(ROW)],
    }


def test_the_good_one_is_read(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / "good.pt")
    assert restore_network(tmp_path / "good.pt", DOCUMENT).curve == (Epoch(**ROW),)


SPOILT: dict[str, tuple[str, Any, str]] = {
    "a format that is true": ("format", True, "must have format 1 or 2"),
    "names that are numbers": ("network", {1: torch.ones(2)}, "names in network must be text, got int"),
    "a list of weights": ("network", [torch.ones(2)], "network must be tensors by name, got list"),
    "complex weights": (
        "network",
        {"a": torch.ones(2, dtype=torch.complex64)},
        "plain values and tensors alone",
    ),
    "sparse weights": ("network", {"a": SPARSE}, "plain values and tensors alone"),
    "weights that repeat one number": ("network", {"a": torch.ones(1).expand(10**9)}, "a dense tensor of real numbers"),
    "a text for a weight": ("network", {"a": "x"}, "must be a dense tensor of real numbers, got str"),
    "average of numbers": ("average", {"a": 1.0}, "average.a must be a dense tensor of real numbers, got float"),
    "optimizer by name": ("optimizer", {"a": {}}, "optimizer must be states by index"),
    "optimizer of lists": ("optimizer", {0: {"step": [1]}}, r"optimizer\.0\.step must be a tensor or a number"),
    "identity of numbers": ("identity", {"seed": 1}, "identity must be texts by name"),
    "precision of lists": ("precision", {"scale": [1]}, r"precision\.scale must be a plain value, got list"),
    "curve of accuracy 7": ("curve", [{**ROW, "val_accuracy": 7.0}], r"accuracies in \[0, 1\]"),
    "curve of half a validation": ("curve", [{**ROW, "val_loss": None}], "must hold numbers"),
    "curve of texts": ("curve", [{**ROW, "seconds": "x"}], "must hold numbers"),
    "curve that jumps": ("curve", [{**ROW, "epoch": 5}], "must be in its place"),
    "curve of another version": ("curve", [{**ROW, "more": 1}], "epoch 1 of the curve must have"),
    "no curve": ("curve", None, "curve must be a list of epochs, got NoneType"),
    "a set": ("precision", {"a": {1}}, "plain values and tensors alone"),
    "a number of 10,000 digits": ("precision", {"a": [10**10_000]}, "plain values and tensors alone"),
    "a parameter": ("network", {"a": torch.nn.Parameter(torch.ones(2))}, "plain values and tensors alone"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_content_of_other_types_is_refused(name: str, tmp_path: Path) -> None:
    key, value, law = SPOILT[name]
    torch.save(content() | {key: value}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=law) as refused:
        load(tmp_path / "bad.pt", {})
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("key", sorted(content()))
def test_a_missing_part_is_named(key: str, tmp_path: Path) -> None:
    spoilt = content()
    del spoilt[key]
    torch.save(spoilt, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=key):
        load(tmp_path / "bad.pt", {})


def test_an_architecture_nested_100_000_deep_is_of_another_network(tmp_path: Path) -> None:
    torch.save(content() | {"identity": {"architecture": "[" * 100_000}}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="must be of the requested network"):
        restore_network(tmp_path / "bad.pt", DOCUMENT)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    spoilt = content()
    spoilt["network"] = {name: torch.ones(7, 7) for name in spoilt["network"]}
    torch.save(spoilt, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="must fit its network") as refused:
        restore_network(tmp_path / "bad.pt", DOCUMENT)
    assert "\n" not in str(refused.value)


def packed(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, body in members.items():
            archive.writestr(f"archive/{name}", body)
    return path


def test_a_member_that_unpacks_to_more_than_its_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "bomb.pt", {"data.pkl": b"\x80\x02}.", "data/0": bytes(2**28)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="no compressed members and unpack to at most its"):
        load(path, {})
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def flat(**changes: Any) -> dict[str, Any]:
    """Document of a good checkpoint of format 2, with two tensors in a buffer of 128 bytes, to be spoilt."""
    index = [["float32", [2, 3], [3, 1], 0], ["int64", [], [], 64]]
    parts = {"network": {"a": [0], "count": [1]}, "optimizer": {"0": {"step": [1]}}, "average": None, "precision": {}}
    return {"format": 2, "identity": IDENTITY, **parts, "curve": [dict(ROW)], "tensors": index} | changes


def written(path: Path, document: object, values: bytes = bytes(128)) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("checkpoint.json", document if isinstance(document, str) else json.dumps(document))
        archive.writestr("tensors", values)
    return path


def test_the_good_one_of_format_2_is_read(tmp_path: Path) -> None:
    values = torch.arange(6.0).numpy().tobytes() + bytes(40) + (7).to_bytes(8, "little") + bytes(56)
    state = load(written(tmp_path / "good.pt", flat(), values), {}).state
    assert torch.equal(state.network["a"], torch.arange(6.0).reshape(2, 3))
    assert int(state.network["count"]) == 7
    assert int(state.optimizer[0]["step"]) == 7


def tensor(**changes: Any) -> dict[str, Any]:
    entry = {"dtype": "float32", "shape": [2, 3], "strides": [3, 1], "offset": 0} | changes
    return flat(tensors=[list(entry.values()), ["int64", [], [], 64]])


SPOILT_FLAT: dict[str, tuple[object, str]] = {
    "no mapping": ([1], "must be a mapping, got list"),
    "no text": ("{", "must be a readable file, got JSONDecodeError"),
    "nested 100,000 deep": ("[" * 100_000, "must be a readable file, got RecursionError"),
    "another format": (flat(format=3), "must have format 1 or 2, got 3"),
    "no index": (flat(tensors=None), "the index of tensors must be a list, got NoneType"),
    "an index of texts": (flat(tensors=["x"]), "tensor 0 must have a type, a shape, strides and a first byte"),
    "an unknown type": (tensor(dtype="complex64"), "tensor 0 must have a type"),
    "a shape of fractions": (tensor(shape=[2.0, 3]), "tensor 0 must have a shape"),
    "a shape of truth": (tensor(shape=[True, 3]), "tensor 0 must have a shape"),
    "a negative size": (tensor(shape=[-2, 3]), "tensor 0 must have a shape"),
    "a thousand dimensions": (tensor(shape=[1] * 1000, strides=[1] * 1000), "tensor 0 must have a shape"),
    "too few strides": (tensor(strides=[1]), "tensor 0 must have a shape"),
    "one number repeated": (tensor(shape=[10**9], strides=[0]), "tensor 0 must be dense and inside the 128 bytes"),
    "strides with gaps": (tensor(strides=[6, 2]), "tensor 0 must be dense"),
    "more than the buffer": (tensor(shape=[2**40, 2**20], strides=[2**20, 1]), "inside the 128 bytes of values"),
    "an end outside the buffer": (tensor(offset=108), "inside the 128 bytes of values"),
    "a first byte between elements": (tensor(offset=2), "tensor 0 must be dense and inside"),
    "a negative first byte": (tensor(offset=-4), "tensor 0 must have a shape"),
    "a tensor that is not there": (
        flat(network={"a": [2]}),
        "network.a must be a dense tensor of real numbers, got list",
    ),
    "a tensor before the first": (
        flat(network={"a": [-1]}),
        "network.a must be a dense tensor of real numbers, got list",
    ),
    "a tensor of truth": (flat(network={"a": [True]}), "network.a must be a dense tensor of real numbers, got list"),
    "weights in a list": (flat(network=[[0]]), "network must be tensors by name, got list"),
    "an optimizer by name": (flat(optimizer={"a": {}}), "optimizer must be states by index"),
    "a curve of accuracy 7": (flat(curve=[{**ROW, "val_accuracy": 7.0}]), r"accuracies in \[0, 1\]"),
}


@pytest.mark.parametrize("name", SPOILT_FLAT)
def test_a_document_of_other_content_is_refused(name: str, tmp_path: Path) -> None:
    document, law = SPOILT_FLAT[name]
    with pytest.raises(CheckpointError, match=law) as refused:
        load(written(tmp_path / "bad.pt", document), {})
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("key", sorted(flat()))
def test_a_missing_part_of_a_document_is_named(key: str, tmp_path: Path) -> None:
    spoilt = flat()
    del spoilt[key]
    with pytest.raises(CheckpointError, match="format" if key == "format" else key):
        load(written(tmp_path / "bad.pt", spoilt), {})


def test_a_document_without_its_buffer_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("checkpoint.json", json.dumps(flat()))
    with pytest.raises(CheckpointError, match="must be a readable file, got KeyError"):
        load(tmp_path / "bad.pt", {})


class _Allocates:
    def __init__(self, made: Any, *arguments: Any) -> None:
        self.made, self.arguments = made, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.made, self.arguments


@pytest.mark.parametrize("made", [bytearray, torch.Tensor, torch.UntypedStorage, set], ids=lambda made: made.__name__)
def test_a_pickle_that_allocates_what_it_says_is_refused(made: Any, tmp_path: Path) -> None:
    argument: Any = [1] if made is set else 2**33
    body = pickle.dumps({"format": 1, "a": _Allocates(made, argument)}, protocol=2)
    with pytest.raises(CheckpointError, match="plain values and tensors alone"):
        load(packed(tmp_path / "bad.pt", {"data.pkl": body, "byteorder": b"little"}), {})


def test_a_pickle_nested_100_000_deep_is_refused(tmp_path: Path) -> None:
    body = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    with pytest.raises(CheckpointError, match="a checkpoint must be"):
        load(packed(tmp_path / "bad.pt", {"data.pkl": body, "byteorder": b"little"}), {})


def test_a_checkpoint_with_everything_goes_round(tmp_path: Path) -> None:
    network = OrderedDict(build(lower(ARCHITECTURE)).state_dict())
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in network.items()}
    state = {0: {"step": torch.tensor(4.0), "exp_avg": torch.ones(4, 1, 3, 3), "momentum_buffer": None}}
    made = TrainingState(dict(network), state, half, {"scale": 65536.0, "_growth_tracker": 0})
    found = load(save(Checkpoint(IDENTITY, made, (Epoch(**ROW),)), tmp_path, attempt=1), IDENTITY).state
    assert found.average is not None
    assert {name: tensor.dtype for name, tensor in found.average.items()} == {n: t.dtype for n, t in half.items()}
    assert found.precision == made.precision
    assert torch.equal(found.optimizer[0]["exp_avg"], torch.ones(4, 1, 3, 3))
    assert found.optimizer[0]["momentum_buffer"] is None
